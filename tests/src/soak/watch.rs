//! Looks at files, users and the agent's figures again and again, and has them judged.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::breach::{Breach, BreachKind};
use super::judge::{UserOfPod, VolumeSeen, VolumeVerdict, judge_users, judge_volume, judge_waiting};
use super::pods::SoakPod;
use super::world::SoakWorld;

/// From one look at all files to the next.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// How many volumes' users log in to PostgreSQL at each look.
const LOGINS: usize = 2;

/// From one sample of the agent's figures to the next.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Looks at files and users, and never returns.
pub(super) async fn look_again_and_again(world: Arc<SoakWorld>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0;
    loop {
        ticks.tick().await;
        world.pods.check();
        let pods = world.pods.living();
        look_at_files(&world, &pods);
        look_at_users(&world, &pods).await;
        log_in(&world, &pods, turn).await;
        turn += LOGINS;
    }
}

fn look_at_files(world: &SoakWorld, pods: &[Arc<SoakPod>]) {
    let (mut breaches, mut oldest) = (Vec::new(), Duration::ZERO);
    for pod in pods {
        if pod.is_waiting() {
            let ledger = world.ledger();
            breaches.extend(judge_waiting(&pod.name, pod.created, world.now(), &ledger.faults));
        }
        if !pod.is_judged() {
            continue;
        }
        let (files, at) = (pod.read(), world.now());
        if !pod.is_judged() {
            // It may have been unmounted while it was read.
            continue;
        }
        let seen = VolumeSeen { at, pod: &pod.name, tenant: pod.tenant, kind: pod.kind, files: &files };
        let history = world.tenants[pod.tenant].history();
        let VolumeVerdict { breaches: found, staleness, replaced } =
            judge_volume(seen, &history, &world.ledger().faults, &mut pod.seen());
        breaches.extend(found);
        if replaced {
            world.ledger().replaced.push(at);
        }
        oldest = oldest.max(staleness);
    }
    let now = world.now();
    let mut ledger = world.ledger();
    ledger.staleness.push((now, oldest));
    ledger.looks += 1;
    drop(ledger);
    world.note(breaches);
}

/// Users of the volumes that were seen before must be in PostgreSQL, those of pods that are gone
/// must not.
async fn look_at_users(world: &SoakWorld, pods: &[Arc<SoakPod>]) {
    let held: Vec<_> = pods.iter().filter_map(|pod| Some((pod, pod.user()?))).collect();
    let gone = world.pods.gone();
    // PostgreSQL does not answer while it is restarted.
    let Some(users) = world.database.users().await else { return };
    let now = world.now();
    let living = held.into_iter().filter(|(pod, _)| pod.is_judged());
    let living = living.map(|(pod, user)| UserOfPod { pod: pod.name.clone(), user, gone: None });
    let of_pods: Vec<_> = living.chain(gone).collect();
    let mut ledger = world.ledger();
    for user in &users {
        ledger.users.entry(user.clone()).or_insert(now);
    }
    let breaches = judge_users(&users, &of_pods, now, &ledger.faults);
    drop(ledger);
    world.note(breaches);
    world.pods.forget(&users);
}

/// Lets the users of some volumes log in, one volume after another over time.
async fn log_in(world: &SoakWorld, pods: &[Arc<SoakPod>], turn: usize) {
    let with_users = pods.iter().filter(|pod| pod.is_judged() && pod.user().is_some());
    let with_users: Vec<_> = with_users.collect();
    for number in turn..turn + LOGINS.min(with_users.len()) {
        let pod = with_users[number % with_users.len()];
        let (Some(user), Some(password)) = (pod.user(), pod.password()) else { continue };
        let taken = world.database.takes(&user, &password).await;
        world.ledger().logins += 1;
        // A user may be refused since PostgreSQL is down, or since the pod ended meanwhile.
        if !taken && pod.is_judged() && world.database.users().await.is_some() {
            let again = world.database.takes(&user, &password).await;
            if !again && pod.is_judged() && world.database.users().await.is_some() {
                let kind = BreachKind::LoginRefused;
                world.note(vec![Breach { subject: pod.name.clone(), file: "db-user".to_owned(), kind }]);
            }
        }
    }
}

/// Takes the agent's figures, and never returns. If the agent has ended, it is started again, as
/// kubelet does.
pub(super) async fn sample_again_and_again(world: Arc<SoakWorld>) {
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = 0.0;
    loop {
        ticks.tick().await;
        // While a fault has the agent, there is none.
        let Ok(mut agent) = world.agent.try_lock() else { continue };
        let now = world.now();
        world.read_log(&mut agent);
        match agent.sample(now) {
            Ok(sample) => world.ledger().samples.push(sample),
            Err(breach) => {
                eprintln!("{}", agent.log());
                world.note(vec![breach]);
                agent.start_again().await;
                continue;
            }
        }
        if let Some(metrics) = agent.metrics().await {
            let all = metrics.sum("coffer_vault_requests_total", &[]);
            // A new process begins to count at zero.
            let since = if all < before { all } else { all - before };
            before = all;
            world.ledger().requests.push((now, since));
        }
    }
}
