//! A copy as one operation: what is wanted, what that would be, and copying it there.

use longshore_store::{Order, TargetPlace};

use crate::{CopyItem, Failure, Filter, Observer, Plan, Report, RootReport, SealedPlan};

/// What is to be copied.
#[derive(Debug)]
pub struct CopyRequest<'a> {
    /// What is wanted, and where it goes.
    pub items: Vec<CopyItem<'a>>,
    /// What is taken of everything that does not say so itself.
    pub filter: Filter,
    /// How much is done at once.
    pub jobs: usize,
}

/// A copy that can be carried out.
#[derive(Debug)]
pub struct PreparedCopy<'a> {
    plan: SealedPlan<'a>,
    jobs: usize,
    /// Whether what cannot be had is left out.
    leaves_out: bool,
    /// Why some of what was wanted is left out.
    pub lost: Vec<Failure>,
    /// What is left out, since it could not be had.
    pub lost_roots: Vec<RootReport>,
}

impl<'a> CopyRequest<'a> {
    /// Finds out all that is wanted. Nothing is written.
    pub fn prepare(self, observer: &dyn Observer) -> PreparedCopy<'a> {
        let plan = Plan::discover_for(self.items, &self.filter, self.jobs, observer).seal();
        PreparedCopy {
            plan,
            jobs: self.jobs,
            leaves_out: false,
            lost: Vec::new(),
            lost_roots: Vec::new(),
        }
    }
}

impl<'a> PreparedCopy<'a> {
    /// Returns the plan.
    pub fn plan(&self) -> &SealedPlan<'a> {
        &self.plan
    }

    /// Returns everything that went wrong while it was prepared, or was left out for, and gives it up.
    pub fn into_failures(self) -> Vec<Failure> {
        let mut failures = self.lost;
        failures.extend(self.plan.into_failures());
        failures
    }

    /// Leaves out, from now on, every root that cannot be had as a whole: `place` is all or nothing. Where it
    /// cannot be begun again sources are asked for all content now.
    #[must_use]
    pub fn leave_out_failed(self, place: &dyn TargetPlace) -> Self {
        let mut plan = self.plan.unseal();
        if place.order() == Order::Sequence {
            plan.ask_for_content(self.jobs);
        }
        let (lost, lost_roots) = plan.drop_failed();
        Self { plan: plan.seal(), jobs: self.jobs, leaves_out: true, lost, lost_roots }
    }

    /// Copies all of it to `place`, to which the targets of what is wanted belong. What turns out not to be
    /// had is left out, if that was asked for, and the place is begun again.
    ///
    /// # Errors
    ///
    /// The place takes nothing of it.
    pub fn run(
        &mut self,
        place: &dyn TargetPlace,
        observer: &dyn Observer,
    ) -> Result<Report, Failure> {
        let begins_again = self.leaves_out && place.order() != Order::Sequence;
        let mut report = self.plan.execute(place, self.jobs, observer)?;
        while begins_again && let Some((failures, roots)) = self.plan.leave_out(&mut report) {
            self.lost.extend(failures);
            self.lost_roots.extend(roots);
            let earlier = report;
            report = self.plan.execute(place, self.jobs, observer)?.after(&earlier);
        }
        Ok(report)
    }
}
