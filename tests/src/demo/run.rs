//! Starts the programs of a plan, waits, and stops them all.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::plan::Plan;
use super::stopped;
use crate::process::{ProcessError, Running};

const READY: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(5);

/// Runs until SIGINT or SIGTERM, or until a program stops by itself. `up` is called once, when all are ready.
/// When this returns, none of them runs any more.
pub async fn run(plan: &Plan, up: impl FnOnce(&Plan)) -> Result<(), ProcessError> {
    let mut running = Vec::new();
    let result = {
        let programs = pin!(async {
            start(plan, &mut running).await?;
            up(plan);
            Err(first_exit(&mut running).await)
        });
        tokio::select! {
            biased; // listens for signals before anything is started
            () = stopped() => Ok(()),
            result = programs => result,
        }
    };
    // The edge first: what has nobody to ask it can stop in peace.
    while let Some(program) = running.pop() {
        program.stop(STOP).await;
    }
    result
}

async fn start(plan: &Plan, running: &mut Vec<Running>) -> Result<(), ProcessError> {
    for program in &plan.programs {
        running.push(program.start()?);
        if let Some(started) = running.last_mut() {
            started.ready(READY).await?;
        }
    }
    Ok(())
}

async fn first_exit(running: &mut [Running]) -> ProcessError {
    let mut exits: Vec<_> = running.iter_mut().map(|program| Box::pin(program.exited())).collect();
    poll_fn(|context| {
        for exit in &mut exits {
            if let Poll::Ready(error) = exit.as_mut().poll(context) {
                return Poll::Ready(error);
            }
        }
        Poll::Pending
    })
    .await
}
