//! Plans: the distinct requests to Vault that the objects of a class need.

use std::sync::Arc;

use coffer_vault::{Request, RequestId};

use super::object::Object;

/// The distinct requests of a class, and for each object the requests whose answers it is made of.
#[derive(Debug)]
pub struct Plan {
    /// The distinct requests, in the order of the objects.
    pub requests: Vec<PlannedRequest>,
    /// For each object the indexes of its requests.
    pub requests_of: Vec<Vec<usize>>,
}

/// A distinct request of a class.
#[derive(Debug)]
pub struct PlannedRequest {
    /// The request.
    pub request: Arc<Request>,
    /// The request's digest.
    pub id: RequestId,
    /// Whether all objects of the request are optional, so that Vault need not have what it asks
    /// for.
    pub is_optional: bool,
}

impl Plan {
    /// Returns the plan for the objects of a class. Objects with equal requests share the request
    /// afterwards.
    #[must_use]
    pub fn new(objects: &mut [Object]) -> Self {
        let mut plan = Self { requests: Vec::new(), requests_of: Vec::with_capacity(objects.len()) };
        for object in objects {
            let is_optional = object.is_optional;
            let indexes = object
                .source
                .requests_mut()
                .iter_mut()
                .map(|request| plan.index_of(request, is_optional))
                .collect();
            plan.requests_of.push(indexes);
        }
        plan
    }

    /// Returns the index of a request, which is added if it is new, and else shared.
    fn index_of(&mut self, request: &mut Arc<Request>, is_optional: bool) -> usize {
        match self.requests.iter().position(|planned| planned.request == *request) {
            Some(known) => {
                let planned = &mut self.requests[known];
                planned.is_optional &= is_optional;
                *request = Arc::clone(&planned.request);
                known
            }
            None => {
                let id = request.id();
                self.requests.push(PlannedRequest { request: Arc::clone(request), id, is_optional });
                self.requests.len() - 1
            }
        }
    }

    /// Returns the indexes of the objects that need the request with this index.
    pub(crate) fn objects_of(&self, request: usize) -> impl Iterator<Item = usize> + Clone {
        let needs = move |(at, requests): (usize, &Vec<usize>)| requests.contains(&request).then_some(at);
        self.requests_of.iter().enumerate().filter_map(needs)
    }
}
