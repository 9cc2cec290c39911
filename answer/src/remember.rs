//! Lets a reply to exactly the same prompt be given again, where replies are kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use wellspring_models::replies::{RememberedChat, Shown};
use wellspring_models::{ChatModel, Purpose};
use wellspring_retrieve::Passage;

use crate::run::{Run, asked};

impl Run {
    /// The model, before it the kept replies to this very prompt. Nothing else of an answer is kept: claims are checked,
    /// citations made and looked up again as for a reply that was just written, and only passages that whoever asks was
    /// shown are in the prompt.
    pub(crate) fn remembered(
        &self,
        model: Arc<dyn ChatModel>,
        question: &str,
        passages: &[(usize, &Passage)],
    ) -> Arc<dyn ChatModel> {
        let Some(cache) = self.answerer.registry.replies() else { return model };
        let documents: BTreeSet<(String, i64)> = passages
            .iter()
            .map(|(_, passage)| (passage.document_id.as_str().to_owned(), passage.version))
            .collect();
        let shown = Shown {
            tenant: self.scope.tenant().as_str().to_owned(),
            collection: self.scope.name().as_str().to_owned(),
            documents: documents.into_iter().collect(),
        };
        // The fence differs from request to request and decides nothing.
        let request = asked(&self.answerer.config, question, passages, "");
        let (account, work) = (self.account.clone(), Purpose::Answer.into());
        Arc::new(RememberedChat::new(model, cache.clone(), &request, shown, account, work))
    }
}
