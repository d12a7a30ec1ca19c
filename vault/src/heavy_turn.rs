//! Turns for heavy work: large answers and large classes. Each namespace has one turn, so that its
//! heavy work neither takes all memory nor all time, and does not wait for itself half done.

use coffer_shares::{Priority, Share, Shares};
use tokio::sync::OnceCell;

/// The turns of all namespaces.
#[derive(Clone)]
pub struct HeavyTurns(Shares);

/// The turn of one read, taken when the read turns out to be heavy and kept until it ends.
#[derive(Debug, Default)]
pub struct HeavyTurn(OnceCell<Share>);

impl Default for HeavyTurns {
    fn default() -> Self {
        Self(Shares::for_each_tenant(1))
    }
}

impl HeavyTurn {
    /// Waits until no other read of the namespace has the turn. Returns at once if this read has
    /// it.
    pub async fn take(&self, turns: &HeavyTurns, tenant: &str) {
        let turn = self.0.get_or_try_init(|| turns.0.take(tenant, 1, Priority::Common)).await;
        turn.map_or_else(|_| unreachable!("one turn fits"), |_| ());
    }
}
