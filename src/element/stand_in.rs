//! Hooks of one name in two elements, of which one may take the other's place.
//!
//! In: the elements of an image. Out: the same, with the hook that gives way taken off its element and noted there. The same file in
//! two elements is refused otherwise (`plan/collection`): who would win? For the pairs listed here the answer is known, since
//! one hook does all that the other does. Not here: copying hooks (`hook/collect`).

use camino::Utf8PathBuf;

use super::{Element, HookKind};
use crate::plan::Phase;

/// A hook that two elements have.
struct Pair {
    phase: Phase,
    hook: &'static str,
    /// The element whose hook runs.
    stays: &'static str,
    /// The element whose hook does not.
    goes: &'static str,
    /// What the hook that runs does beyond the other.
    beyond: &'static str,
}

/// Upstream replaced `modprobe-blacklist` by `modprobe`, which its element for Debian brings unasked: whoever still names the old
/// one cannot build a Debian any more. Both hooks write the same lines. The old one also stops without a list, which is what
/// somebody who asked for it by name has always had.
const PAIRS: [Pair; 1] = [Pair {
    phase: Phase::Install,
    hook: "80-modprobe-blacklist",
    stays: "modprobe-blacklist",
    goes: "modprobe",
    beyond: "insists on DIB_MODPROBE_BLACKLIST",
}];

/// Settles each pair of which both elements are there, with a warning.
pub(super) fn settle(elements: &mut [Element]) {
    for pair in &PAIRS {
        let has = |element: &Element| element.hooks.iter().any(|hook| pair.is(hook));
        if !elements.iter().any(|element| element.name == pair.stays && has(element)) {
            continue;
        }
        for element in elements.iter_mut().filter(|element| element.name == pair.goes && has(element)) {
            let file = Utf8PathBuf::from(pair.phase.directory()).join(pair.hook);
            element.hooks.retain(|hook| !pair.is(hook));
            element.warnings.push(format!(
                "element {}: its hook {file} gives way to that of {}, which does the same and {}",
                pair.goes, pair.stays, pair.beyond
            ));
            element.left_out.push(file);
        }
    }
}

impl Pair {
    /// A hook in Rhai is no file in the hooks folder, and collides with nothing.
    fn is(&self, hook: &super::Hook) -> bool {
        hook.phase == self.phase && hook.key == self.hook && matches!(hook.kind, HookKind::Shell { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Hook;

    fn element(name: &str, kind: HookKind) -> Element {
        let other = Hook { phase: Phase::ExtraData, key: "50-modprobe-blacklist".into(), kind: kind.clone() };
        let hook = Hook { phase: Phase::Install, key: "80-modprobe-blacklist".into(), kind };
        Element { name: name.into(), hooks: vec![other, hook], ..Element::default() }
    }

    fn shell() -> HookKind {
        HookKind::Shell { file: "/e".into() }
    }

    #[test]
    fn the_hook_that_asks_for_its_list_stays_in_either_order() {
        for names in [["modprobe", "modprobe-blacklist"], ["modprobe-blacklist", "modprobe"]] {
            let mut elements = names.map(|name| element(name, shell()));
            settle(&mut elements);
            elements.sort_by(|one, other| one.name.cmp(&other.name));
            let [modprobe, blacklist] = elements;
            assert_eq!((modprobe.hooks.len(), blacklist.hooks.len()), (1, 2));
            assert_eq!(modprobe.left_out, ["install.d/80-modprobe-blacklist"]);
            assert!(
                modprobe.warnings[0].contains("gives way to that of modprobe-blacklist"),
                "{:?}",
                modprobe.warnings
            );
            assert!(blacklist.left_out.is_empty() && blacklist.warnings.is_empty());
        }
    }

    #[test]
    fn alone_beside_a_script_or_under_another_name_nothing_gives_way() {
        let script = HookKind::Script { file: "/e".into(), function: "install".into() };
        for pair in [
            [element("modprobe", script), element("modprobe-blacklist", shell())],
            [element("modprobe", shell()), element("other", shell())],
        ] {
            let mut elements = pair.clone();
            settle(&mut elements);
            assert_eq!(elements, pair);
        }
    }
}
