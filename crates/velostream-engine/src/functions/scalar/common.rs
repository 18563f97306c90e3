//! Functions over any type.

use crate::expr::extreme;
use crate::expr::kernel::Kernel;
use crate::functions::example::Null;
use crate::functions::overload::{CallSite, Family, Overload, Returns, scalar_functions};

fn common(make: fn(&CallSite<'_>) -> Kernel) -> Overload {
    Overload {
        parameters: &[("value", Family::Common)],
        variadic: true,
        returns: Returns::Of(|arguments| arguments[0]),
        nullable: true,
        make,
    }
}

scalar_functions! { "Comparison";
    /// The greatest of the values that are not NULL.
    GREATEST {
        [custom common(|site| extreme(site.returns, true))]
        (3, 1, Null, 2) => 3;
        ("ab", "b") => "b";
        (1, 2.5) => 2.5;
        (Null, Null) => Null;
    }
    /// The least of the values that are not NULL.
    LEAST {
        [custom common(|site| extreme(site.returns, false))]
        (3, 1, Null, 2) => 1;
        (Null, "b", "ab") => "ab";
    }
}
