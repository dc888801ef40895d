//! Connections: the header of each request, and who answers it.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::input::{Input, Stop};
use crate::output::Output;
use crate::state::{Cluster, Count};
use crate::{api_versions, metadata, produce};

/// Numbers of the APIs that are served.
pub(crate) const PRODUCE: i16 = 0;
pub(crate) const METADATA: i16 = 3;
pub(crate) const API_VERSIONS: i16 = 18;
pub(crate) const INIT_PRODUCER_ID: i16 = 22;

/// Nothing on these threads goes deep.
const STACK: usize = 256 << 10;

/// A request that is being answered.
pub(crate) struct Request<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) count: &'a Count,
    /// The index of the broker that was asked.
    pub(crate) broker: usize,
    pub(crate) version: i16,
    /// Whether the version has compact lengths and tagged fields.
    pub(crate) is_flexible: bool,
}

/// Serves a broker's connections, each on a thread of its own.
pub(crate) fn accept(listener: &TcpListener, cluster: &Arc<Cluster>, broker: usize) {
    for stream in listener.incoming() {
        let cluster = cluster.clone();
        let serve = move |stream| serve(stream, &cluster, broker);
        let started = stream.and_then(|stream| {
            stream.set_nodelay(true)?;
            thread::Builder::new().stack_size(STACK).spawn(move || serve(stream))
        });
        if let Err(error) = started {
            eprintln!("sink: a connection is lost: {error}");
        }
    }
}

fn serve(stream: TcpStream, cluster: &Cluster, broker: usize) {
    cluster.count().totals.connections.add(1);
    let mut input = Input::new(stream);
    let mut output = Output::default();
    loop {
        match answer(&mut input, &mut output, cluster, broker) {
            Ok(()) => {}
            Err(Stop::Closed) => return,
            Err(Stop::Malformed(what)) => {
                cluster.count().totals.malformed.add(1);
                eprintln!("sink: a malformed request: {what}");
                return;
            }
        }
    }
}

fn answer(
    input: &mut Input,
    output: &mut Output,
    cluster: &Cluster,
    broker: usize,
) -> Result<(), Stop> {
    let size = input.next_request()?;
    let (api, version, correlation) = (input.i16()?, input.i16()?, input.i32()?);
    let is_flexible = version >= first_flexible(api);
    let client_id = input.i16()?;
    input.skip(usize::try_from(client_id).unwrap_or(0))?;
    input.skip_tags(is_flexible)?;

    output.clear();
    output.i32(correlation);
    // So that a client can read it whose version is not known here.
    output.no_tags(is_flexible && api != API_VERSIONS);
    let count = cluster.count();
    let request = Request { cluster, count: &count, broker, version, is_flexible };
    let totals = &count.totals;
    let is_awaited = match api {
        PRODUCE => {
            totals.requests.add(1);
            totals.request_bytes.add(size as u64 + 4);
            produce::answer(&request, input, output)?
        }
        METADATA => metadata::answer(&request, input, output)?,
        API_VERSIONS => api_versions::answer(&request, output),
        INIT_PRODUCER_ID => init_producer_id(&request, output),
        _ => return Err(Stop::Malformed("an API that is not served")),
    };
    if api != PRODUCE {
        totals.other_requests.add(1);
    }
    input.skip_rest()?;
    if is_awaited {
        input.reply(output.finish());
    }
    Ok(())
}

fn first_flexible(api: i16) -> i16 {
    match api {
        PRODUCE | METADATA => 9,
        API_VERSIONS => 3,
        INIT_PRODUCER_ID => 2,
        _ => i16::MAX,
    }
}

/// Gives out a producer id that nobody had, with epoch 0.
fn init_producer_id(request: &Request<'_>, output: &mut Output) -> bool {
    output.i32(0); // throttle time
    output.i16(0); // error code
    output.i64(request.cluster.next_producer_id());
    output.i16(0);
    output.no_tags(request.is_flexible);
    true
}
