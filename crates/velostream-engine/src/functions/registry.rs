//! The scalar functions that exist, for the binder and for the compiler of expressions.

use crate::expr::kernel::Kernel;
use velostream_sql::catalog::{FunctionCatalog, FunctionError, FunctionId, ScalarSignature};
use velostream_sql::plan::Literal;
use velostream_sql::types::DataType;

/// One call of a function, as its kernel is made for it.
pub(crate) struct CallSite<'a> {
    /// Types of the arguments.
    pub arguments: &'a [DataType],
    /// Those arguments that are constant.
    pub constants: &'a [Option<Literal>],
    /// The type of the result.
    pub returns: DataType,
}

/// All scalar functions.
#[derive(Debug, Default)]
pub struct Registry {}

/// The registry of this build.
#[must_use]
pub fn registry() -> &'static Registry {
    static REGISTRY: Registry = Registry {};
    &REGISTRY
}

impl Registry {
    /// The kernel of an overload for a call.
    pub(crate) fn kernel(&self, _id: FunctionId, _site: &CallSite<'_>) -> Option<Kernel> {
        None
    }
}

impl FunctionCatalog for Registry {
    fn scalar(&self, _name: &str, _arguments: &[DataType]) -> Result<ScalarSignature, FunctionError> {
        Err(FunctionError::Unknown)
    }

    fn scalar_names(&self) -> Vec<&'static str> {
        Vec::new()
    }
}
