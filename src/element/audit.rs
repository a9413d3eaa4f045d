//! What elements may do, and what a policy says of it.
//!
//! In: elements, read; a policy. Out: for each element its grants and its hooks that nothing confines; the first thing that the
//! policy forbids; what grew since an earlier state. Pure but for [`grown`], which compares files. Not here: asking for permissions
//! while a script runs (`script/image`).

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Element, HookKind};
use crate::request::Policy;
use crate::script::permission::{self, Permission};

/// What a policy calls hooks that are no scripts: they run as root, and permissions do not bind them.
pub const SHELL: &str = "shell";

/// What an element may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Its name.
    pub element: String,
    /// What its scripts were granted, sorted.
    pub grants: Vec<String>,
    /// Hooks that are no scripts: `install.d/50-legacy`.
    pub unconfined: Vec<String>,
}

/// Why a policy cannot be read, or what it forbids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// No permission has this name.
    #[error("a policy cannot name `{name}`: {reason}")]
    Unknown {
        /// What was written.
        name: String,
        /// What would be right.
        reason: String,
    },
    /// An element may do something that is forbidden.
    #[error(
        "the element `{element}` has {what}, and the policy denies `{denied}`; leave the element out, or let the policy allow it"
    )]
    Denied {
        /// The element.
        element: String,
        /// Its grant, or its hook.
        what: String,
        /// What was denied.
        denied: String,
    },
}

/// What `element` may do.
pub fn audit(element: &Element) -> Audit {
    let grants: BTreeSet<String> = element.permissions.iter().cloned().collect();
    let shell = element.hooks.iter().filter(|hook| matches!(hook.kind, HookKind::Shell { .. }));
    Audit {
        element: element.name.clone(),
        grants: grants.into_iter().collect(),
        unconfined: shell.map(|hook| format!("{}/{}", hook.phase.directory(), hook.key)).collect(),
    }
}

impl Policy {
    /// Refuses names that are no permissions.
    ///
    /// # Errors
    /// [`AuditError::Unknown`].
    pub fn check(&self) -> Result<(), AuditError> {
        self.deny.iter().chain(self.allow.values().flatten()).try_for_each(|text| Denial::parse(text).map(drop))
    }

    /// Refuses the first thing of `audit` that is forbidden.
    ///
    /// # Errors
    /// [`AuditError::Denied`], and as [`Self::check`].
    pub fn judge(&self, audit: &Audit) -> Result<(), AuditError> {
        let allowed = self.allow.get(&audit.element).into_iter().flatten();
        let allowed: Vec<Denial> = allowed.map(|text| Denial::parse(text)).collect::<Result<_, _>>()?;
        for text in &self.deny {
            let denial = Denial::parse(text)?;
            let denied =
                |what: String| AuditError::Denied { element: audit.element.clone(), what, denied: text.clone() };
            if let (Denial::Shell, Some(hook), false) =
                (&denial, audit.unconfined.first(), allowed.contains(&Denial::Shell))
            {
                return Err(denied(format!("the hook {hook}, which nothing confines")));
            }
            for grant in &audit.grants {
                let excepted = allowed.iter().any(|exception| exception.contains(grant));
                if denial.meets(grant) && !excepted {
                    return Err(denied(format!("the permission `{grant}`")));
                }
            }
        }
        Ok(())
    }
}

/// One entry of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Denial {
    /// Hooks that are no scripts.
    Shell,
    /// Every permission of this name.
    All(String),
    /// One permission.
    One(Permission),
}

impl Denial {
    fn parse(text: &str) -> Result<Self, AuditError> {
        if text == SHELL {
            return Ok(Self::Shell);
        }
        if permission::NAMES.contains(&text) {
            return Ok(Self::All(text.to_owned()));
        }
        let unknown = |error: permission::PermissionError| AuditError::Unknown {
            name: text.to_owned(),
            reason: format!("{error}, or `{SHELL}`"),
        };
        permission::parse(text).map(Self::One).map_err(unknown)
    }

    /// The grant allows something of what this forbids.
    fn meets(&self, grant: &str) -> bool {
        match (self, permission::parse(grant)) {
            (Self::All(name), _) => grant.split(':').next() == Some(name),
            (Self::One(one), Ok(grant)) => one.covers(&grant) || grant.covers(one),
            _ => false,
        }
    }

    /// The grant allows nothing beyond this.
    fn contains(&self, grant: &str) -> bool {
        match (self, permission::parse(grant)) {
            (Self::All(name), _) => grant.split(':').next() == Some(name),
            (Self::One(one), Ok(grant)) => one.covers(&grant),
            _ => false,
        }
    }
}

/// What an element may do that it could not before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// Grants that no earlier grant covers.
    pub grants: Vec<String>,
    /// Hooks that nothing confines, and that are new.
    pub unconfined: Vec<String>,
    /// Such hooks whose content is another one.
    pub changed: Vec<String>,
}

impl Growth {
    /// Nothing grew.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares an element with what it was; `before` is absent when it is new.
pub fn grown(before: Option<&Element>, now: &Element) -> Growth {
    let (was, is) = (before.map(audit), audit(now));
    let old: Vec<Permission> =
        was.iter().flat_map(|was| &was.grants).filter_map(|grant| permission::parse(grant).ok()).collect();
    let covered =
        |grant: &String| permission::parse(grant).is_ok_and(|grant| old.iter().any(|earlier| earlier.covers(&grant)));
    let content = |element: &Element, name: &str| {
        let hook = element.hooks.iter().find(|hook| format!("{}/{}", hook.phase.directory(), hook.key) == name)?;
        match &hook.kind {
            HookKind::Shell { file } => std::fs::read(file).ok(),
            _ => None,
        }
    };
    let known = |name: &String| was.as_ref().is_some_and(|was| was.unconfined.contains(name));
    let (kept, new): (Vec<String>, Vec<String>) = is.unconfined.iter().cloned().partition(known);
    let differs = |name: &String| before.is_some_and(|before| content(before, name) != content(now, name));
    Growth {
        grants: is.grants.into_iter().filter(|grant| !covered(grant)).collect(),
        unconfined: new,
        changed: kept.into_iter().filter(differs).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(grants: &[&str], unconfined: &[&str]) -> Audit {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Audit { element: "web".into(), grants: texts(grants), unconfined: texts(unconfined) }
    }

    fn policy(deny: &[&str], allow: &[&str]) -> Policy {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Policy { deny: texts(deny), allow: [("web".to_owned(), texts(allow))].into() }
    }

    fn said(policy: &Policy, audit: &Audit) -> String {
        policy.judge(audit).map_or_else(|error| error.to_string(), |()| "fine".into())
    }

    #[test]
    fn a_policy_denies_by_name_by_overlap_and_for_hooks_that_nothing_confines() {
        let web = of(&["packages", "write:/etc/nginx", "fetch:a.example"], &["install.d/50-x"]);
        assert_eq!(said(&policy(&["run", "network"], &[]), &web), "fine");
        assert!(said(&policy(&["packages"], &[]), &web).contains("has the permission `packages`"));
        assert!(said(&policy(&["fetch"], &[]), &web).contains("`fetch:a.example`"));
        assert_eq!(said(&policy(&["fetch:b.example"], &[]), &web), "fine");
        assert!(said(&policy(&["write:/etc"], &[]), &web).contains("denies `write:/etc`"));
        assert!(said(&policy(&["write:/etc/nginx/sites"], &[]), &web).contains("`write:/etc/nginx`"));
        assert_eq!(said(&policy(&["write:/usr"], &[]), &web), "fine");
        assert!(said(&policy(&["shell"], &[]), &web).contains("the hook install.d/50-x"));
    }

    #[test]
    fn an_exception_is_for_one_element_and_no_more_than_it_says() {
        let web = of(&["write:/etc/nginx"], &["install.d/50-x"]);
        assert_eq!(said(&policy(&["write", "shell"], &["write:/etc", "shell"]), &web), "fine");
        assert!(said(&policy(&["write"], &["write:/etc/nginx/sites"]), &web).contains("denies `write`"));
        let other = Audit { element: "other".into(), ..web };
        assert!(said(&policy(&["write"], &["write:/etc"]), &other).contains("`other`"));
    }

    #[test]
    fn a_name_that_is_no_permission_is_refused() {
        let error = policy(&["pakages"], &[]).check().unwrap_err().to_string();
        assert_eq!(
            error,
            "a policy cannot name `pakages`: unknown permission `pakages`; did you mean `packages`?, or `shell`"
        );
        assert!(policy(&[], &["write:etc"]).check().is_err());
    }

    #[test]
    fn what_grew_is_what_no_earlier_grant_covers() {
        let element = |grants: &[&str]| Element {
            permissions: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            ..Element::default()
        };
        let growth = grown(Some(&element(&["write:/etc", "run"])), &element(&["write:/etc/a", "write:/usr", "run"]));
        assert_eq!(growth.grants, ["write:/usr"]);
        assert!(grown(Some(&element(&["run"])), &element(&[])).is_empty());
        assert_eq!(grown(None, &element(&["run"])).grants, ["run"]);
    }
}
