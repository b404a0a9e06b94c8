//! A copy as one operation: what is wanted, what that would be, and bringing it to its place.

use longshore_store::Place;

use crate::{Failure, Filter, Observer, Plan, Report, RootReport, Wanted};

/// What is to be copied.
#[derive(Debug)]
pub struct CopyRequest<'a> {
    /// What is wanted, and where it goes.
    pub wanted: Vec<Wanted<'a>>,
    /// What is taken of everything that does not say so itself.
    pub filter: Filter,
    /// How much is done at once.
    pub jobs: usize,
}

/// A copy that can be carried out.
#[derive(Debug)]
pub struct PreparedCopy<'a> {
    plan: Plan<'a>,
    jobs: usize,
    /// Why some of what was wanted is left out.
    pub lost: Vec<Failure>,
    /// What is left out, since it could not be had.
    pub lost_roots: Vec<RootReport>,
}

impl<'a> CopyRequest<'a> {
    /// Finds out all that is wanted. Nothing is written.
    pub fn prepare(self) -> PreparedCopy<'a> {
        let plan = Plan::discover(self.wanted, &self.filter, self.jobs);
        PreparedCopy { plan, jobs: self.jobs, lost: Vec::new(), lost_roots: Vec::new() }
    }
}

impl<'a> PreparedCopy<'a> {
    /// Returns the plan.
    pub fn plan(&self) -> &Plan<'a> {
        &self.plan
    }

    /// Leaves out every root of which not all is known: a place that has no half takes only what can be
    /// had as a whole.
    pub fn leave_out_failed(&mut self) {
        (self.lost, self.lost_roots) = self.plan.drop_failed();
    }

    /// Brings all of it to `place`, to which the targets of what is wanted belong.
    ///
    /// # Errors
    ///
    /// The place takes nothing of it.
    pub fn run(&self, place: &dyn Place, observer: &dyn Observer) -> Result<Report, Failure> {
        self.plan.execute(place, Vec::new(), self.jobs, observer)
    }
}
