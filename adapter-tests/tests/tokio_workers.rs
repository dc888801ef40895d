//! The conformance kit on tokio, worker threads.

use adapter_tests::Tokio;

fn main() -> std::process::ExitCode {
    producer_sim::conformance::main(&Tokio::Workers(2))
}
