//! Name resolution and dialling.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use producer_proto::ConnectErrorKind;

use super::Runtime;
use crate::dial::DialPlan;
use crate::driver::Dial;
use crate::socket::{DialSettings, literal};

/// Resolves the name and tries its addresses until one answers.
pub(super) async fn dial<R: Runtime>(
    runtime: R,
    settings: DialSettings,
    dial: Dial,
) -> Result<R::Stream, ConnectErrorKind> {
    let start = Instant::now();
    let addresses = match literal(&dial.host, dial.port) {
        Some(address) => vec![address],
        None => {
            let look_up = runtime.look_up(dial.host.clone(), dial.port);
            match before(&runtime, start.checked_add(settings.limit), look_up).await {
                Some(Ok(addresses)) => addresses,
                Some(Err(error)) => {
                    tracing::debug!(host = &*dial.host, %error, "name look-up failed");
                    return Err(ConnectErrorKind::Dns);
                }
                None => return Err(ConnectErrorKind::Dns),
            }
        }
    };
    let mut plan = DialPlan::new(addresses, start, settings.limit);
    while let Some(attempt) = plan.next(Instant::now()) {
        let connect = async {
            let socket = settings.begin_connect(attempt.address)?;
            runtime.finish_connect(socket).await
        };
        match before(&runtime, Instant::now().checked_add(attempt.timeout), connect).await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => {
                tracing::debug!(address = %attempt.address, %error, "connect failed");
                plan.failed(&error);
            }
            None => plan.timed_out(),
        }
    }
    Err(plan.failure())
}

/// What the future gives, unless the deadline comes first. A moment that the clock cannot show
/// never comes.
async fn before<R: Runtime, F: Future>(
    runtime: &R,
    deadline: Option<Instant>,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut timer = deadline.map(|deadline| runtime.timer(deadline));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        match &mut timer {
            Some(timer) => Pin::new(timer).poll(context).map(|_| None),
            None => Poll::Pending,
        }
    })
    .await
}
