use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};

use super::{NeverFits, Priority, Share, Shares};

const COMMON: Priority = Priority::Common;

fn all_of(shares: &Shares, tenant: &str) -> Vec<Share> {
    std::iter::from_fn(|| shares.try_take(tenant, 1, COMMON)).collect()
}

#[test]
fn each_of_n_tenants_gets_one_part_of_n_plus_one() {
    let shares = Shares::new(120);
    let first = all_of(&shares, "a");
    assert_eq!(first.len(), 60);
    let second = all_of(&shares, "b");
    assert_eq!(second.len(), 30);
    drop(first);
    assert_eq!((shares.taken(), shares.taken_by("a"), shares.taken_by("b")), (30, 0, 30));
    assert_eq!(all_of(&shares, "a").len(), 45);
}

#[test]
fn the_reserve_is_for_those_who_may_take_it() {
    let shares = Shares::with_reserve(100, 40);
    let _common = all_of(&shares, "a");
    assert_eq!(shares.taken(), 30);
    assert!(shares.try_take("b", 20, COMMON).is_none());
    assert!(shares.try_take("b", 35, Priority::Reserved).is_some());
}

#[test]
fn a_share_of_each_tenant_bounds_one_and_not_all() {
    let shares = Shares::for_each_tenant(2);
    let _own = all_of(&shares, "a");
    assert_eq!((shares.taken(), all_of(&shares, "b").len()), (2, 2));
}

#[test]
fn a_share_grows_and_shrinks() {
    let shares = Shares::new(10);
    let mut share = shares.try_take("a", 2, COMMON).expect("room");
    assert!(share.try_grow(3) && !share.try_grow(3));
    assert_eq!((share.amount(), shares.taken()), (5, 5));
    share.shrink_to(1);
    share.shrink_to(4);
    assert_eq!((share.amount(), shares.taken()), (1, 1));
}

#[tokio::test]
async fn what_can_never_fit_is_refused_at_once() {
    let shares = Shares::new(10);
    let refusal = shares.take("a", 6, COMMON).await.expect_err("too much");
    assert_eq!(refusal, NeverFits { most: 5 });
    let mut share = shares.take("a", 3, COMMON).await.expect("room");
    assert_eq!(share.grow(3).await, Err(NeverFits { most: 5 }));
}

/// Polls a future once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn tenants_wait_in_their_own_line_and_who_has_least_comes_first() {
    let shares = Shares::new(8);
    let mut held = all_of(&shares, "a");
    let other = shares.try_take("b", 2, COMMON).expect("room");
    assert_eq!((held.len(), shares.taken()), (4, 6));
    let mut first = pin!(shares.take("a", 1, COMMON));
    let mut second = pin!(shares.take("a", 1, COMMON));
    let mut poor = pin!(shares.take("c", 2, COMMON));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    assert!(poll(poor.as_mut()).is_pending());
    drop(other);
    let Poll::Ready(Ok(poor)) = poll(poor.as_mut()) else { panic!("the poorest waits") };
    assert_eq!(poor.amount(), 2);
    assert!(poll(first.as_mut()).is_pending());
    held.truncate(2);
    assert!(poll(first.as_mut()).is_ready());
}

#[test]
fn requests_that_were_given_up_block_nobody() {
    let shares = Shares::new(2);
    let held = shares.try_take("a", 1, COMMON).expect("room");
    let mut waiting = pin!(shares.take("a", 1, COMMON));
    for _ in 0..if cfg!(miri) { 100 } else { 10_000 } {
        let mut abandoned = Box::pin(shares.take("a", 1, COMMON));
        assert!(poll(abandoned.as_mut()).is_pending());
    }
    assert!(poll(waiting.as_mut()).is_pending());
    drop(held);
    assert!(poll(waiting.as_mut()).is_ready());
    assert!(shares.taken() <= 1);
}

proptest! {
    #[test]
    fn a_newcomer_always_finds_room_and_the_books_are_right(
        total in 8_usize..200,
        steps in vec((0_u8..4, 0_usize..60, any::<bool>()), 0..200),
    ) {
        let shares = Shares::new(total);
        let mut held: Vec<Share> = Vec::new();
        for (tenant, amount, take) in steps {
            if take {
                held.extend(shares.try_take(&tenant.to_string(), amount, COMMON));
            } else if !held.is_empty() {
                held.swap_remove(amount % held.len());
            }
            prop_assert!(shares.taken() == held.iter().map(Share::amount).sum::<usize>());
            let most = (0..4).map(|tenant: u8| shares.taken_by(&tenant.to_string())).max().unwrap_or(0);
            prop_assert!(most + shares.taken() <= total + most.max(1) && most <= total.div_ceil(2));
        }
        drop(held);
        prop_assert!(shares.taken() == 0);
    }
}
