//! The control port: a command on each line.

use std::io::{BufRead as _, BufReader, Result, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process;

use crate::state::Cluster;

/// Serves one connection after the other.
pub(crate) fn accept(listener: &TcpListener, cluster: &Cluster) {
    for stream in listener.incoming() {
        if let Err(error) = stream.and_then(|stream| serve(stream, cluster)) {
            eprintln!("sink: control: {error}");
        }
    }
}

fn serve(mut stream: TcpStream, cluster: &Cluster) -> Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    for line in lines {
        let answer = match line?.trim() {
            "stats" => stats(cluster),
            "reset" => {
                cluster.reset();
                "{}".to_owned()
            }
            "quit" => {
                println!("{}", stats(cluster));
                process::exit(0)
            }
            _ => error("the commands are stats, reset and quit"),
        };
        writeln!(stream, "{answer}")?;
    }
    Ok(())
}

fn stats(cluster: &Cluster) -> String {
    cluster.stats().unwrap_or_else(|problem| error(&problem.to_string()))
}

fn error(what: &str) -> String {
    serde_json::json!({ "error": what }).to_string()
}
