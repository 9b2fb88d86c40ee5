//! The queue: shared by processes, fair to orgs, and nothing is lost when one is killed.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use uuid::Uuid;
use vicket::{
    db::{Pool, Start, Worker},
    store::{
        self,
        tasks::{MAIL, Task},
    },
};

use crate::harness::World;

const LEASE: Duration = Duration::from_mins(1);

fn worker(world: &World) -> Worker {
    Worker::new(Pool::new(&world.url("vicket_worker"), 4, &Start::WORKER).expect("a URL"))
}

/// Tasks of an org, of nothing.
async fn waiting(world: &World, org: Uuid, count: i32) {
    world
        .arrange(&format!(
            "insert into vicket.tasks (org_id, kind, subject_id)
             select '{org}', 'mail', gen_random_uuid() from generate_series(1, {count})"
        ))
        .await;
}

async fn claim(worker: &Worker, most: i32, lease: Duration) -> Vec<Task> {
    store::tasks::claim(worker, MAIL, most, lease).await.expect("claimed")
}

#[tokio::test]
async fn what_one_org_has_waiting_delays_no_other() {
    let world = World::new().await;
    let (crowd, other) = (world.site_a.org_id, world.site_c.org_id);
    waiting(&world, crowd, 100_000).await;
    waiting(&world, other, 3).await;
    let worker = worker(&world);
    let claimed = claim(&worker, 8, LEASE).await;
    let of = |org: Uuid| claimed.iter().filter(|task| task.org_id == org).count();
    assert_eq!((of(other), of(crowd)), (3, 4), "{claimed:?}");
    // Alone it gets all.
    let claimed = claim(&worker, 8, LEASE).await;
    assert!(claimed.len() == 8 && claimed.iter().all(|task| task.org_id == crowd), "{claimed:?}");
}

#[tokio::test]
async fn no_task_is_claimed_twice_while_its_lease_lasts_and_again_when_it_has_ended() {
    let world = World::new().await;
    waiting(&world, world.site_a.org_id, 600).await;
    waiting(&world, world.site_c.org_id, 600).await;
    let workers = [worker(&world), worker(&world), worker(&world)];
    let drain = async |worker: &Worker| {
        let mut mine = Vec::new();
        loop {
            let claimed = claim(worker, 50, LEASE).await;
            if claimed.is_empty() {
                return mine;
            }
            mine.extend(claimed);
        }
    };
    let (one, two, three) = tokio::join!(drain(&workers[0]), drain(&workers[1]), drain(&workers[2]));
    let counts = [one.len(), two.len(), three.len()];
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    let claimed: Vec<Task> = [one, two, three].concat();
    assert_eq!(claimed.iter().map(|task| task.id).collect::<HashSet<_>>().len(), claimed.len(), "{counts:?}");
    assert_eq!(claimed.len(), 1200);
    assert!(claimed.iter().all(|task| task.attempts == 1));

    assert_eq!(claim(&workers[1], 2000, LEASE).await, [], "the lease lasts");
    // Who is killed does nothing more.
    let [kept, lost] = [&claimed[..600], &claimed[600..]];
    store::tasks::renew(&workers[0], lost, Duration::from_millis(300)).await.expect("renewed");
    store::tasks::renew(&workers[0], kept, LEASE).await.expect("renewed");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let again = claim(&workers[1], 2000, LEASE).await;
    let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id).collect::<HashSet<_>>();
    assert_eq!(ids(&again), ids(lost));
    assert!(again.iter().all(|task| task.attempts == 2));
    store::tasks::done(&workers[1], &again).await.expect("done");
    assert_eq!(world.look::<i64>("select count(*) from vicket.tasks").await, 600);
}

/// Prints what the machine does; how fast it is, is no matter of right or wrong.
#[tokio::test]
async fn claimed_and_finished() {
    const TASKS: u32 = 20_000;
    let world = World::new().await;
    waiting(&world, world.site_a.org_id, 10_000).await;
    waiting(&world, world.site_c.org_id, 10_000).await;
    world.arrange("analyze vicket.tasks").await;
    let worker = worker(&world);
    let began = Instant::now();
    let lane = async || {
        let mut finished = 0;
        loop {
            let claimed = claim(&worker, 500, LEASE).await;
            if claimed.is_empty() {
                return finished;
            }
            store::tasks::done(&worker, &claimed).await.expect("done");
            finished += claimed.len();
        }
    };
    let (one, two) = tokio::join!(lane(), lane());
    assert_eq!(one + two, TASKS as usize);
    let took = began.elapsed().as_secs_f64();
    println!("{TASKS} tasks claimed and finished in {took:.2} s: {:.0} a second", f64::from(TASKS) / took);
}
