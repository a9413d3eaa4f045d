//! The functions that an engine has.
//!
//! In: an engine. Out: names, parameters and documentation as they were registered. Not here: what is made of them
//! (`crate::script::reference`).

use rhai::Engine;

/// A registered function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Its name; operators and getters have names, too.
    pub name: String,
    /// Number of values that it takes.
    pub count: usize,
    /// Its parameters as far as they are known: `path: &str`.
    pub parameters: Vec<String>,
    /// The type of what it answers, as in Rust.
    pub returns: String,
    /// Documentation, with the leading slashes.
    pub comments: Vec<String>,
}

/// Every function of `engine`, in no order.
pub fn registered(engine: &Engine) -> Vec<Registered> {
    engine.collect_fn_metadata(
        None,
        |function| {
            let metadata = function.metadata;
            Some(Registered {
                name: metadata.name.to_string(),
                count: metadata.num_params,
                parameters: metadata.params_info.iter().map(ToString::to_string).collect(),
                returns: metadata.return_type.to_string(),
                comments: metadata.comments.iter().map(ToString::to_string).collect(),
            })
        },
        true,
    )
}
