//! The conformance kit on mio.

use adapter_tests::Mio;

fn main() -> std::process::ExitCode {
    producer_sim::conformance::main(&Mio)
}
