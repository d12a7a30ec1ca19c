//! Plans: the distinct requests to Vault that the objects of a class need.

use std::sync::Arc;

use coffer_vault::{Request, RequestId};

use super::object::Object;

/// The distinct requests of a class, and for each object the request whose answer has the file.
#[derive(Debug)]
pub struct Plan {
    /// The distinct requests, in the order of the objects.
    pub requests: Vec<PlannedRequest>,
    /// For each object the index of the request.
    pub request_of: Vec<usize>,
}

/// A distinct request of a class.
#[derive(Debug)]
pub struct PlannedRequest {
    /// The request.
    pub request: Arc<Request>,
    /// The request's digest.
    pub id: RequestId,
    /// Whether all objects of the request are optional, so that Vault need not have what it asks for.
    pub is_optional: bool,
}

impl Plan {
    /// Returns the plan for the objects of a class. Objects with equal requests share the request
    /// afterwards.
    #[must_use]
    pub fn new(objects: &mut [Object]) -> Self {
        let mut plan = Self { requests: Vec::new(), request_of: Vec::with_capacity(objects.len()) };
        for object in objects {
            let known = plan.requests.iter().position(|planned| planned.request == object.request);
            let index = known.unwrap_or_else(|| {
                let (request, id) = (Arc::clone(&object.request), object.request.id());
                plan.requests.push(PlannedRequest { request, id, is_optional: true });
                plan.requests.len() - 1
            });
            plan.requests[index].is_optional &= object.is_optional;
            object.request = Arc::clone(&plan.requests[index].request);
            plan.request_of.push(index);
        }
        plan
    }

    /// Returns the indexes of the objects whose files come from the request with this index.
    pub(crate) fn objects_of(&self, request: usize) -> impl Iterator<Item = usize> + Clone {
        self.request_of.iter().enumerate().filter(move |(_, n)| **n == request).map(|(at, _)| at)
    }
}
