//! The conformance kit on mio, in somebody's own loop.

use adapter_tests::MioLoop;

fn main() -> std::process::ExitCode {
    producer_sim::conformance::main(&MioLoop)
}
