//! Container documents and who refers to them.

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{Digest, Sealed};

use super::Transaction;
use crate::state::Document;

impl Transaction<'_> {
    /// Makes documents available to the revisions this command adds.
    pub(crate) fn offer_documents(&mut self, documents: &BTreeMap<Digest, Sealed>) {
        self.offered.extend(documents.iter().map(|(digest, sealed)| (*digest, sealed.clone())));
    }

    /// Whether a revision or replica may refer to this document.
    pub(crate) fn has_document(&self, digest: &Digest) -> bool {
        self.state.documents.contains(digest) || self.offered.contains_key(digest)
    }

    pub(super) fn hold(&mut self, digest: &Digest) {
        let row = match self.state.documents.find(digest) {
            Some(row) => Document { references: row.references + 1, sealed: row.sealed.clone() },
            None => match self.offered.get(digest) {
                Some(sealed) => Document { references: 1, sealed: sealed.clone() },
                None => return debug_assert!(false, "document {digest} is referred to but absent"),
            },
        };
        self.state.documents.put(*digest, Arc::new(row));
    }

    pub(super) fn release(&mut self, digest: &Digest) {
        let Some(row) = self.state.documents.find(digest) else { return };
        if row.references <= 1 {
            self.state.documents.remove(digest);
        } else {
            let row = Document { references: row.references - 1, sealed: row.sealed.clone() };
            self.state.documents.put(*digest, Arc::new(row));
        }
    }
}
