//! The runtimes that there is an adapter for, behind one face: whatever runs a producer, its
//! handle is the same.

use producer_driver::Handle;
use producer_driver::api::Config;
use tokio::runtime::Builder;

/// What the producers of a test run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Tokio,
    Mio,
    Smol,
}

/// Makes a producer on the runtime of the test.
pub(crate) type Start<'a> = &'a dyn Fn(Config) -> Handle;

impl Runtime {
    /// Runs `work` to its end. Its producers are on other threads than itself.
    pub(crate) fn run(self, work: impl AsyncFnOnce(Start<'_>)) {
        match self {
            Self::Tokio => {
                on_tokio(Builder::new_multi_thread().worker_threads(2), work);
            }
            Self::Mio => smol::block_on(work(&mio)),
            Self::Smol => smol::block_on(work(&|config| {
                let producer = producer_smol::Producer::spawn(config).expect("valid settings");
                Handle::clone(&producer)
            })),
        }
    }

    /// Runs `work` to its end, on the same thread as its producers; only those on mio have their
    /// own.
    pub(crate) fn run_on_one_thread(self, work: impl AsyncFnOnce(Start<'_>)) {
        match self {
            Self::Tokio => on_tokio(&mut Builder::new_current_thread(), work),
            Self::Mio => smol::block_on(work(&mio)),
            Self::Smol => {
                let executor = smol::LocalExecutor::new();
                let start = |config| {
                    let (producer, driver) =
                        producer_smol::Producer::new(config).expect("valid settings");
                    executor.spawn(driver).detach();
                    Handle::clone(&producer)
                };
                smol::block_on(executor.run(work(&start)));
            }
        }
    }
}

fn on_tokio(builder: &mut Builder, work: impl AsyncFnOnce(Start<'_>)) {
    let runtime = builder.enable_all().build().expect("a tokio runtime");
    runtime.block_on(work(&|config| {
        let producer = producer_tokio::Producer::new(config).expect("valid settings");
        Handle::clone(&producer)
    }));
}

fn mio(config: Config) -> Handle {
    producer_mio::Producer::spawn(config).expect("valid settings").handle().clone()
}

/// Makes a test for each runtime of each of these functions, which take the runtime.
macro_rules! on_each_runtime {
    ($($test:ident),+ $(,)?) => {
        on_each_runtime!(on_tokio Tokio: $($test)+);
        on_each_runtime!(on_mio Mio: $($test)+);
        on_each_runtime!(on_smol Smol: $($test)+);
    };
    ($module:ident $runtime:ident: $($test:ident)+) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::$test(crate::runtime::Runtime::$runtime);
            })+
        }
    };
}
