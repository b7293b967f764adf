//! The register of the log that nodes share, kept in the catalog.

use catalog::Catalog;
use model::segment::{NewSegment, Place, Segments};
use store::log::Register;
use store::log::shared::Later;

/// A catalog that decides the order of segments.
pub struct CatalogRegister(pub Catalog);

impl Register for CatalogRegister {
    fn node(&self) -> String {
        self.0.node()
    }

    fn add<'a>(&'a self, new: &'a NewSegment) -> Later<'a, Option<Place>> {
        Box::pin(self.0.add_log_segment(new))
    }

    fn withdraw<'a>(&'a self, object: &'a str) -> Later<'a, Option<Place>> {
        Box::pin(self.0.withdraw_log_segment(object))
    }

    fn is_placed<'a>(&'a self, object: &'a str) -> Later<'a, bool> {
        Box::pin(self.0.has_log_segment(object))
    }

    fn list(&self, from: u64) -> Later<'_, Segments> {
        Box::pin(self.0.log_segments(from))
    }

    fn forget(&self, position: u64) -> Later<'_, Vec<String>> {
        Box::pin(self.0.forget_log_segments(position))
    }

    fn note_deleted<'a>(&'a self, objects: &'a [String]) -> Later<'a, ()> {
        Box::pin(self.0.clear_log_segments(objects))
    }

    fn unplaced<'a>(&'a self, objects: &'a [String]) -> Later<'a, Vec<String>> {
        Box::pin(self.0.unplaced_log_segments(objects))
    }
}
