//! The last look before an answer leaves: every citation is still visible and still says what it quotes.

use std::collections::{HashMap, HashSet};

use wellspring_retrieve::{ChunkId, CollectionScope, DocumentId, ErrorKind, PageSpan, Passage, Retriever};

use crate::error::Result;
use crate::ground::Claim;
use crate::reply::{Citation, NumberedPassage, Warning};

/// What is left of an answer after the look.
pub(crate) struct Rechecked {
    pub(crate) claims: Vec<Claim>,
    pub(crate) passages: Vec<NumberedPassage>,
    pub(crate) warnings: Vec<Warning>,
}

/// Withdraws citations that are not visible any more, or whose quote is not byte for byte the stored text, and with them
/// sentences that hang on nothing else; where a passage is gone, also those that cite nothing. Passages that are not visible any more go too; the others keep their numbers.
pub(crate) async fn recheck(
    retriever: &Retriever,
    scope: &CollectionScope,
    claims: Vec<Claim>,
    passages: Vec<Passage>,
) -> Result<Rechecked> {
    let ids: Vec<ChunkId> = passages.iter().map(|passage| passage.chunk_id.clone()).collect();
    let visible: HashSet<ChunkId> =
        retriever.fetch(scope, &ids).await?.into_iter().map(|passage| passage.chunk_id).collect();
    let mut rechecked = Rechecked { claims: Vec::new(), passages: Vec::new(), warnings: Vec::new() };
    let mut pages = Pages::default();
    for mut claim in claims {
        let cited = claim.citations.len();
        let mut kept = Vec::with_capacity(cited);
        for mut citation in claim.citations {
            if visible.contains(&citation.chunk_id) && says(retriever, scope, &citation).await? {
                if citation.page.is_some() {
                    citation.page = pages.of(retriever, scope, &citation).await?;
                }
                kept.push(citation);
            } else {
                rechecked.warnings.push(Warning {
                    code: "citation_withdrawn",
                    message: format!("[{}] was changed or deleted while the answer was made", citation.n),
                });
            }
        }
        claim.citations = kept;
        // A sentence that cites nothing may still tell of what is gone.
        if !claim.citations.is_empty() || (cited == 0 && visible.len() == ids.len()) {
            rechecked.claims.push(claim);
        }
    }
    for (index, passage) in passages.into_iter().enumerate() {
        if visible.contains(&passage.chunk_id) {
            rechecked.passages.push(NumberedPassage::new(index, passage));
        }
    }
    Ok(rechecked)
}

/// Whether the stored text of the cited version, read again, is the quote.
async fn says(retriever: &Retriever, scope: &CollectionScope, citation: &Citation) -> Result<bool> {
    let Citation { document_id, version, start, end, quote, .. } = citation;
    match retriever.text_span(scope, document_id, *version, *start, *end).await {
        Ok(stored) => Ok(!quote.is_empty() && stored == *quote),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Pages of cited documents, each read once.
#[derive(Default)]
struct Pages(HashMap<DocumentId, Vec<PageSpan>>);

impl Pages {
    /// The page on which the quote begins; the passage's first page where the document does not tell.
    async fn of(
        &mut self,
        retriever: &Retriever,
        scope: &CollectionScope,
        citation: &Citation,
    ) -> Result<Option<u32>> {
        if !self.0.contains_key(&citation.document_id) {
            let pages = match retriever.pages(scope, &citation.document_id).await {
                Ok(pages) => pages,
                Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            self.0.insert(citation.document_id.clone(), pages);
        }
        let pages = self.0.get(&citation.document_id).map(Vec::as_slice).unwrap_or_default();
        let holds = |page: &&PageSpan| (page.start..page.end).contains(&citation.start);
        Ok(pages.iter().find(holds).map(|page| page.page).or(citation.page))
    }
}
