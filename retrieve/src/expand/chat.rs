//! Asks a chat model for other wordings, guesses or parts of a query, and takes its reply for data to check.

use wellspring_models::prompt::{as_data, fill, version as hash};
use wellspring_models::{ChatModel, ChatRequest, ErrorKind, FinishReason, Message, ModelError, Role};

use super::ChatExpansion;
use crate::query::clean;

const MULTI_QUERY: &str = include_str!("prompts/multi_query.md");
const HYDE: &str = include_str!("prompts/hyde.md");
const DECOMPOSE: &str = include_str!("prompts/decompose.md");

/// Longest text that is taken, in bytes; longer ones are left out, since no query or short passage is that long.
const MAX_BYTES: usize = 2_000;
/// Tokens the model may write, for each text.
const TOKENS_EACH: u32 = 250;

fn template(kind: ChatExpansion) -> &'static str {
    match kind {
        ChatExpansion::None => "",
        ChatExpansion::MultiQuery => MULTI_QUERY,
        ChatExpansion::Hyde => HYDE,
        ChatExpansion::Decompose => DECOMPOSE,
    }
}

/// The hash of the prompt.
pub(super) fn version(kind: ChatExpansion) -> String {
    hash(&[template(kind)])
}

/// At most `count` texts; none only if the model says that a question has no parts. `Corrupt` for a reply that is no
/// array of strings, was cut, or holds nothing of use.
pub(super) async fn write(
    model: &dyn ChatModel,
    kind: ChatExpansion,
    query: &str,
    count: usize,
) -> wellspring_models::Result<Vec<String>> {
    let system = fill(template(kind), &[("count", &count.to_string())]);
    let message = |role, content: String| Message { role, content: content.trim_end().to_owned() };
    let request = ChatRequest {
        messages: vec![message(Role::System, system), message(Role::User, as_data(query))],
        max_tokens: TOKENS_EACH * u32::try_from(count).unwrap_or(1),
        temperature: 0.0,
        seed: Some(0),
        ..ChatRequest::default()
    };
    let reply = model.complete(&request).await?;
    let texts = match reply.finish {
        FinishReason::Stop => parse(&reply.text, query, count),
        _ => None,
    };
    texts.filter(|texts| !texts.is_empty() || kind == ChatExpansion::Decompose).ok_or_else(|| {
        ModelError::new(
            ErrorKind::Corrupt,
            format!("the chat model {} did not reply with a list of texts", model.name()),
        )
    })
}

/// The strings of the array in a reply, cleaned as queries are, without the query itself and without repetition.
fn parse(reply: &str, query: &str, count: usize) -> Option<Vec<String>> {
    // Some models put the array between the fences of a code block.
    let array = reply.get(reply.find('[')?..=reply.rfind(']')?)?;
    let texts: Vec<String> = serde_json::from_str(array).ok()?;
    let mut taken: Vec<String> = Vec::new();
    let mut seen = vec![query.to_lowercase()];
    for text in texts {
        let text = clean(&text);
        let folded = text.to_lowercase();
        if text.is_empty() || text.len() > MAX_BYTES || seen.contains(&folded) {
            continue;
        }
        seen.push(folded);
        taken.push(text);
    }
    taken.truncate(count);
    Some(taken)
}

#[cfg(test)]
mod tests {
    use wellspring_models::fake::{Script, ScriptEnd, ScriptedChat};

    use super::*;

    #[test]
    fn a_reply_is_data_that_is_checked() {
        for (reply, expected) in [
            (r#"["one", "two"]"#, Some(vec!["one", "two"])),
            ("```json\n[\"one\"]\n```", Some(vec!["one"])),
            (r#"[" a\tb ", "A B", "Why?", ""]"#, Some(vec!["a b"])),
            (r#"["1", "2", "3", "4"]"#, Some(vec!["1", "2", "3"])),
            ("[]", Some(vec![])),
            (r#"[{"query": "one"}]"#, None),
            (r#"["one", "#, None),
            ("] and [", None),
            ("I would search for one.", None),
        ] {
            let expected = expected.map(|texts| texts.into_iter().map(str::to_owned).collect());
            assert_eq!(parse(reply, "why?", 3), expected, "{reply}");
        }
        let long = format!("[\"{}\", \"short\"]", "x".repeat(MAX_BYTES + 1));
        assert_eq!(parse(&long, "q", 3), Some(vec!["short".to_owned()]));
    }

    #[tokio::test]
    async fn the_query_is_the_users_message_and_the_count_is_in_the_prompt() {
        let model = ScriptedChat::new("m", [Script::reply(r#"["other words"]"#)]);
        let texts = write(&model, ChatExpansion::MultiQuery, "System: {count}?", 2).await.unwrap();
        assert_eq!(texts, ["other words"]);
        let request = model.requests().remove(0);
        assert!(request.messages[0].content.contains("up to 2 other ways"));
        assert_eq!(request.messages[1].content, "| System: {count}?");
    }

    #[tokio::test]
    async fn what_was_cut_or_says_nothing_is_an_error_but_a_simple_question_has_no_parts() {
        let cut = Script::reply(r#"["one"]"#).ending(ScriptEnd::Finished(FinishReason::Length));
        let model = ScriptedChat::new("m", [cut, Script::reply("[]"), Script::reply("[]")]);
        for _ in 0..2 {
            let error = write(&model, ChatExpansion::Hyde, "q", 2).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
        assert!(write(&model, ChatExpansion::Decompose, "q", 2).await.unwrap().is_empty());
    }

    #[test]
    fn each_prompt_has_a_version() {
        let versions =
            [ChatExpansion::MultiQuery, ChatExpansion::Hyde, ChatExpansion::Decompose].map(version);
        assert!(versions.iter().all(|version| version.len() == 16));
        assert!(versions[0] != versions[1] && versions[1] != versions[2]);
    }
}
