//! The conformance kit on smol.

use adapter_tests::Smol;

fn main() -> std::process::ExitCode {
    producer_sim::conformance::main(&Smol)
}
