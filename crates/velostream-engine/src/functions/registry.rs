//! The scalar functions that exist, for the binder and for the compiler of expressions.

use crate::expr::kernel::Kernel;
use crate::functions::example::Example;
use crate::functions::overload::{CallSite, Family, Function, Overload};
use crate::functions::scalar;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;
use velostream_sql::catalog::{FunctionCatalog, FunctionError, FunctionId, ScalarSignature};
use velostream_sql::types::DataType;

/// All scalar functions. A [`FunctionId`] is an overload's position.
#[derive(Debug)]
pub struct Registry {
    functions: Vec<Function>,
    /// Position of the function of each name and alias.
    names: HashMap<&'static str, usize>,
    /// Function and overload within it, by id.
    overloads: Vec<(usize, usize)>,
}

/// The registry of this build.
#[must_use]
pub fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);
    &REGISTRY
}

impl Registry {
    fn new() -> Self {
        let functions = scalar::functions();
        let mut names = HashMap::new();
        let mut overloads = Vec::new();
        for (position, function) in functions.iter().enumerate() {
            for &name in function.names {
                let earlier = names.insert(name, position);
                assert!(earlier.is_none(), "the function name {name} is used once");
            }
            overloads.extend((0..function.overloads.len()).map(|overload| (position, overload)));
        }
        Self { functions, names, overloads }
    }

    fn overload(&self, id: FunctionId) -> Option<&Overload> {
        let &(function, overload) = self.overloads.get(id.0 as usize)?;
        self.functions[function].overloads.get(overload)
    }

    /// The kernel of an overload for a call.
    pub(crate) fn kernel(&self, id: FunctionId, site: &CallSite<'_>) -> Option<Kernel> {
        self.overload(id).map(|overload| (overload.make)(site))
    }

    /// Main name and examples of every function.
    pub fn examples(&self) -> impl Iterator<Item = (&'static str, &[Example])> {
        self.functions.iter().map(|function| (function.names[0], function.examples.as_slice()))
    }

    /// The reference of all functions in Markdown: signatures, documentation and examples by group.
    #[must_use]
    pub fn reference(&self) -> String {
        let mut page = String::from(
            "# Scalar functions\n\nPrinted from the functions' sources; the examples are tests.\n",
        );
        let mut group = "";
        for function in &self.functions {
            if function.group != group {
                group = function.group;
                page.push_str(&format!("\n## {group}\n"));
            }
            page.push_str(&format!("\n### {}\n\n", function.names.join(", ")));
            for overload in &function.overloads {
                page.push_str(&format!("- `{}`\n", signature(function.names[0], overload)));
            }
            let lines: Vec<_> = function.documentation.lines().map(str::trim).collect();
            page.push_str(&format!("\n{}\n\n```sql\n", lines.join("\n").trim()));
            for example in &function.examples {
                let arguments: Vec<_> = example.arguments.iter().map(|sample| sample.text.as_str()).collect();
                page.push_str(&format!(
                    "{}({}) -- {}\n",
                    function.names[0],
                    arguments.join(", "),
                    example.expected
                ));
            }
            page.push_str("```\n");
        }
        page
    }
}

/// A signature as the reference and errors show it.
fn signature(name: &str, overload: &Overload) -> String {
    let returns = match overload.returns.resolve(&representatives(overload)) {
        DataType::Decimal { .. } => "DECIMAL".to_owned(),
        _ if overload.parameters.iter().any(|(_, family)| *family == Family::Common) => "ANY".to_owned(),
        other => other.to_string(),
    };
    format!("{} -> {returns}", takes(name, overload))
}

fn takes(name: &str, overload: &Overload) -> String {
    let mut shown = format!("{name}(");
    for (index, (parameter, family)) in overload.parameters.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let written = write!(shown, "{comma}{parameter} {}", family.name());
        debug_assert!(written.is_ok(), "a String takes every text");
    }
    shown.push_str(if overload.variadic { ", ...)" } else { ")" });
    shown
}

fn representatives(overload: &Overload) -> Vec<DataType> {
    overload.parameters.iter().map(|(_, family)| family.representative()).collect()
}

/// The types that `overload` takes for these arguments and how far they are; `None` where it does not fit.
fn fit(overload: &Overload, arguments: &[DataType]) -> Option<(Vec<DataType>, u32)> {
    let declared = overload.parameters.len();
    let enough = if overload.variadic { arguments.len() >= declared } else { arguments.len() == declared };
    if !enough {
        return None;
    }
    let mut types = Vec::with_capacity(arguments.len());
    let mut total = 0;
    let family = |index: usize| overload.parameters[index.min(declared - 1)].1;
    for (index, &given) in arguments.iter().enumerate() {
        let (accepted, distance) = family(index).accept(given)?;
        types.push(accepted);
        total += distance;
    }
    if let Some(first) = (0..types.len()).find(|&index| family(index) == Family::Common) {
        let common = types[first..].iter().try_fold(DataType::Null, |a, &b| common_type(a, b))?;
        types[first..].fill(common);
    }
    Some((types, total))
}

/// The type that both types widen to.
fn common_type(a: DataType, b: DataType) -> Option<DataType> {
    use DataType::{BigInt, Decimal, Double, Int, Null};
    let parts = |data_type| match data_type {
        Int => Some((10, 0)),
        BigInt => Some((19, 0)),
        Decimal { precision, scale } => Some((precision, scale)),
        _ => None,
    };
    match (a, b) {
        (a, b) if a == b => Some(a),
        (Null, other) | (other, Null) => Some(other),
        (Double, other) | (other, Double) if other.is_numeric() => Some(Double),
        (Int, BigInt) | (BigInt, Int) => Some(BigInt),
        (a, b) => {
            let ((precision_a, scale_a), (precision_b, scale_b)) = (parts(a)?, parts(b)?);
            let scale = scale_a.max(scale_b);
            let whole = (precision_a - scale_a).max(precision_b - scale_b);
            Some(Decimal { precision: (whole + scale).min(38), scale })
        }
    }
}

impl FunctionCatalog for Registry {
    fn scalar(&self, name: &str, arguments: &[DataType]) -> Result<ScalarSignature, FunctionError> {
        let upper = name.to_ascii_uppercase();
        let Some((&name, &position)) = self.names.get_key_value(upper.as_str()) else {
            return Err(FunctionError::Unknown);
        };
        let function = &self.functions[position];
        let fitting = function.overloads.iter().enumerate().filter_map(|(index, overload)| {
            fit(overload, arguments).map(|(types, distance)| (distance, index, types))
        });
        let Some((_, index, arguments)) = fitting.min_by_key(|&(distance, index, _)| (distance, index))
        else {
            let all: Vec<_> = function.overloads.iter().map(|overload| takes(name, overload)).collect();
            return Err(FunctionError::Mismatch(format!("{name} is {}", all.join(" or "))));
        };
        let overload = &function.overloads[index];
        let id = self.overloads.iter().position(|&place| place == (position, index));
        let id = FunctionId(id.expect("every overload has an id") as u32);
        let returns = overload.returns.resolve(&arguments);
        let kernel = (overload.make)(&CallSite { arguments: &arguments, returns });
        Ok(ScalarSignature {
            id,
            name: function.names[0],
            returns,
            nullable: overload.nullable,
            strict: kernel.is_strict(),
            fallible: kernel.is_fallible(),
            volatile: false,
            arguments,
        })
    }

    fn scalar_names(&self) -> Vec<&'static str> {
        self.functions.iter().flat_map(|function| function.names.iter().copied()).collect()
    }
}
