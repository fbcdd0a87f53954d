//! Calls that are to be placed: written down before Twilio is asked, under the key that makes each of them one.

use plugin_api::{
    error::OperationError,
    requests::sql::{Execute, Query},
};

use super::{Outcome, Store};

/// What a call of ours is to reach.
#[plugin_api::row]
#[derive(Default, PartialEq, Eq)]
pub struct Order {
    pub reference: String,
    /// Tells the request from others.
    pub fingerprint: String,
    pub person: String,
    pub objective: String,
    pub opening: Option<String>,
    /// For a machine that answers.
    pub message: Option<String>,
}

impl Store {
    /// Writes an order down; one with the same key must be the same.
    ///
    /// # Errors
    /// `conflict`: the key was used for another order.
    pub async fn order(&self, order: &Order) -> Outcome<()> {
        let insert = Execute::new(
            "insert into voice_assistant_orders
                (reference, fingerprint, person, objective, opening, message, created_ms)
            values ($1, $2, $3, $4, $5, $6, now_ms()) on conflict (reference) do nothing",
        );
        let insert = insert.bind(&order.reference).bind(&order.fingerprint).bind(&order.person);
        let insert = insert.bind(&order.objective).bind(order.opening.as_deref().unwrap_or_default());
        let insert = insert.bind(order.message.as_deref().unwrap_or_default());
        if self.execute(insert).await?.rows_affected == 1 {
            return Ok(());
        }
        match self.order_of(&order.reference).await? {
            Some(known) if known.fingerprint == order.fingerprint => Ok(()),
            _ => Err(OperationError::conflict("the idempotency key was used for another call")),
        }
    }

    pub async fn order_of(&self, reference: &str) -> Outcome<Option<Order>> {
        let query = "select reference, fingerprint, person, objective, nullif(opening, '') as opening,
                nullif(message, '') as message
            from voice_assistant_orders where reference = $1";
        self.query(Query::new(query).bind(reference)).await?.read_first()
    }
}
