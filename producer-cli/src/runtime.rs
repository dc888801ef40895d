//! What the producer runs on: `--runtime`.

use std::future::Future;
use std::process::ExitCode;

use clap::ValueEnum;
use producer_driver::Handle;
use producer_tokio::Config;
use tokio::runtime::Builder;

/// The runtimes that there is an adapter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// tokio
    Tokio,
    /// mio, in a thread of its own
    Mio,
    /// smol
    Smol,
}

/// Where the work is done that shares a thread with a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// In the future that the runtime blocks on. When a task wakes it, the runtime looks at the
    /// reactor once more before it is its turn.
    Main,
    /// In a task beside the producer's.
    Task,
    /// The same on tokio's worker threads, one per processor, any of which may run either.
    Workers,
}

impl Runtime {
    /// Starts a producer from within a tokio runtime, which it shares if it is one for tokio;
    /// else it is on a thread of its own. Whatever it runs on, the handle is the same.
    pub(crate) fn start(self, config: Config) -> Result<Handle, String> {
        match self {
            Self::Tokio => producer_tokio::Producer::new(config)
                .map(|producer| Handle::clone(&producer))
                .map_err(|error| error.to_string()),
            Self::Mio => mio(config),
            Self::Smol => producer_smol::Producer::spawn(config)
                .map(|producer| Handle::clone(&producer))
                .map_err(|error| error.to_string()),
        }
    }

    /// Starts a producer and runs `work` with it, to its end. Unless there are workers, both are on
    /// this thread, where nothing is handed over between two; only the producer on mio has its own.
    pub(crate) fn run<W>(
        self,
        config: Config,
        seat: Seat,
        work: impl FnOnce(Handle) -> W,
    ) -> Result<ExitCode, String>
    where
        W: Future<Output = Result<ExitCode, String>> + Send + 'static,
    {
        match self {
            Self::Tokio => {
                let mut builder = match seat {
                    Seat::Main | Seat::Task => Builder::new_current_thread(),
                    Seat::Workers => Builder::new_multi_thread(),
                };
                on_tokio(&mut builder, async {
                    let work = work(self.start(config)?);
                    if seat == Seat::Main {
                        return work.await;
                    }
                    tokio::spawn(work).await.map_err(|error| error.to_string())?
                })
            }
            // Like its blocking calls: parked, with no reactor of its own to look after.
            Self::Mio => smol::future::block_on(work(mio(config)?)),
            Self::Smol => {
                let (producer, driver) =
                    producer_smol::Producer::new(config).map_err(|error| error.to_string())?;
                let executor = smol::LocalExecutor::new();
                executor.spawn(driver).detach();
                let work = work(Handle::clone(&producer));
                match seat {
                    Seat::Main => smol::block_on(executor.run(work)),
                    Seat::Task | Seat::Workers => {
                        smol::block_on(executor.run(executor.spawn(work)))
                    }
                }
            }
        }
    }

    /// Starts a producer that is not on this thread, and runs `work` with it here.
    pub(crate) fn run_beside(
        self,
        config: Config,
        work: impl FnOnce(Handle) -> Result<ExitCode, String>,
    ) -> Result<ExitCode, String> {
        match self {
            Self::Tokio => {
                let runtime = build(Builder::new_multi_thread().worker_threads(1))?;
                let inside = runtime.enter();
                let producer = self.start(config)?;
                drop(inside);
                work(producer)
            }
            Self::Mio | Self::Smol => work(self.start(config)?),
        }
    }

    /// The crate behind it, under whose name its numbers stand.
    pub(crate) fn adapter(self) -> &'static str {
        match self {
            Self::Tokio => "producer-tokio",
            Self::Mio => "producer-mio",
            Self::Smol => "producer-smol",
        }
    }

    /// Lets a producer on the same thread have its turn.
    pub(crate) async fn give_way(self) {
        match self {
            Self::Tokio => tokio::task::yield_now().await,
            Self::Mio => {}
            Self::Smol => smol::future::yield_now().await,
        }
    }
}

fn mio(config: Config) -> Result<Handle, String> {
    let producer = producer_mio::Producer::spawn(config).map_err(|error| error.to_string())?;
    Ok(producer.handle().clone())
}

/// Runs `work` on a tokio runtime.
pub(crate) fn on_tokio(
    runtime: &mut Builder,
    work: impl Future<Output = Result<ExitCode, String>>,
) -> Result<ExitCode, String> {
    let runtime = build(runtime)?;
    let result = runtime.block_on(work);
    // A read of standard input that never returns must not hold up the end.
    runtime.shutdown_background();
    result
}

fn build(runtime: &mut Builder) -> Result<tokio::runtime::Runtime, String> {
    runtime.enable_all().build().map_err(|error| format!("no runtime: {error}"))
}
