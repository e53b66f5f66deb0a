//! How long an instance may go on deciding without word from the control plane.

use std::time::Duration;

/// The longest. For this long the control plane counts one that has gone among those which a revocation has not reached.
pub const MAX_STALENESS: Duration = Duration::from_hours(1);
