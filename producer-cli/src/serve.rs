//! `producer serve`: the embedded cluster until Ctrl-C.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::ServeArgs;
use crate::embedded;

/// Runs the command. `Err`: it could not start.
pub(crate) async fn run(args: ServeArgs) -> Result<ExitCode, String> {
    let cluster = embedded::start(args.port, args.brokers, args.partitions)?;
    // Whoever started this may read the address from a pipe and close it: not a reason to end.
    let _ = announce(&cluster.bootstrap());
    tokio::signal::ctrl_c().await.map_err(|error| format!("no signals: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

fn announce(bootstrap: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "bootstrap.servers={bootstrap}")?;
    out.flush()
}
