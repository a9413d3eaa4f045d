//! The image while shell hooks run in it, with what is lent to their package manager.
//!
//! In: the place that `hook/` prepared. Out: the same place with helpers of `distro/`, where there are any. Not here: what runs.

use camino::Utf8Path;

use super::error::BuildError;
use crate::distro::{self, Loan};
use crate::hook::environment::Environment;
use crate::hook::run::Inside;
use crate::sandbox::chroot::Chroot;

/// The image, as long as this lives.
#[derive(Debug)]
pub struct Image {
    inside: Inside,
    loan: Option<Loan>,
}

impl Image {
    /// Lends to the image `inside`, whose tree is at `tree`.
    pub fn new(mut inside: Inside, tree: &Utf8Path) -> Result<Self, BuildError> {
        let loan = distro::lend(tree)?;
        if let Some(loan) = &loan {
            inside.chroot = loan.reach(inside.chroot.clone());
        }
        Ok(Self { inside, loan })
    }

    /// Where commands run.
    pub fn chroot(&self) -> &Chroot {
        &self.inside.chroot
    }

    /// Lets commands with `environment` find the helpers.
    pub fn lend(&self, environment: &mut Environment) {
        if self.loan.is_some() {
            Loan::show(&mut environment.variables);
        }
    }

    /// Takes the helpers back.
    pub fn leave(self) -> Result<(), BuildError> {
        let failed = BuildError::system("take back what was lent to the package manager");
        self.loan.map_or(Ok(()), Loan::end).map_err(failed)
    }
}
