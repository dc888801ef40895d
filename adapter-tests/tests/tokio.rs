//! The conformance kit on tokio.

use adapter_tests::Tokio;

fn main() -> std::process::ExitCode {
    producer_sim::conformance::main(&Tokio::CurrentThread)
}
