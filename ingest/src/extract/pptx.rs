//! Reads PowerPoint presentations: every slide a page with its title, text, tables, charts and speaker notes.

use crate::offsets::Basis;

use super::opc::{Package, Relations};
use super::xmltree::{ROOT, Tree};
use super::{Draft, Failure, Reason, Source};

mod shapes;

use shapes::{Block, Shapes};

/// Slides in order of the presentation. Source positions count blocks (paragraphs, table rows) of each slide's part.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let mut package = Package::open(source)?;
    let mut draft = Draft::new(Basis::PartUnits);
    package.properties(&mut draft);
    let slides = slide_parts(&mut package)?;
    if slides.len() as u64 > u64::from(source.limits.max_pages) {
        return Err(Failure::too_large(format!(
            "{} slides, the limit is {} (max_pages)",
            slides.len(),
            source.limits.max_pages
        )));
    }
    let mut damaged = 0;
    for (index, name) in slides.iter().enumerate() {
        let number = index as u32 + 1;
        match package.part(name) {
            Ok(Some(tree)) => slide(&mut package, &tree, name, number, &mut draft)?,
            Err(failure) if failure.reason == Reason::LimitExceeded => return Err(failure),
            _ => damaged += 1,
        }
    }
    if damaged > 0 {
        draft.warnings.push(format!("{damaged} of {} slides could not be read", slides.len()));
    }
    Ok(draft)
}

/// Part names of the slides; by number in the name when the presentation's list is damaged.
fn slide_parts(package: &mut Package<'_>) -> Result<Vec<String>, Failure> {
    let main = "ppt/presentation.xml";
    let relations = package.relations(main)?;
    if let Some(tree) = package.part(main)? {
        let ids = tree.all(ROOT, "sldId");
        let listed: Vec<String> = ids
            .iter()
            .filter_map(|&s| relations.get(tree.attribute(s, "r:id")?))
            .map(|(_, part)| part.clone())
            .collect();
        if !listed.is_empty() {
            return Ok(listed);
        }
    }
    let number = |n: &String| n.strip_prefix("ppt/slides/slide")?.strip_suffix(".xml")?.parse::<u32>().ok();
    let mut found: Vec<(u32, String)> =
        package.names().into_iter().filter_map(|n| Some((number(&n)?, n))).collect();
    found.sort();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

fn slide(
    package: &mut Package<'_>,
    tree: &Tree,
    name: &str,
    number: u32,
    draft: &mut Draft,
) -> Result<(), Failure> {
    let relations = package.relations(name)?;
    let mut shapes = Shapes::new(tree);
    shapes.walk(ROOT);
    let Shapes { mut blocks, charts, diagrams, .. } = shapes;
    for id in charts {
        if let Some(chart) = part_of(package, &relations, &id) {
            let text = super::chart::markdown(&chart);
            blocks.push(Block { text, item: false, title: false });
        }
    }
    for id in diagrams {
        if let Some(data) = part_of(package, &relations, &id) {
            blocks.extend(shapes::points(&data));
        }
    }
    let start = draft.body.text.len();
    draft.body.block();
    let part = draft.body.map.part(name);
    // The title leads, wherever its shape lies in the drawing order.
    blocks.sort_by_key(|b| !b.title);
    write(&blocks, part, draft);
    if draft.title.is_none() && number == 1 {
        draft.title =
            blocks.iter().find(|b| b.title).map(|b| b.text.trim_start_matches(['#', ' ']).to_owned());
    }
    if let Some((_, notes)) = relations.values().find(|(kind, _)| kind == "notesSlide")
        && let Ok(Some(tree)) = package.part(notes)
    {
        let said = shapes::notes(&tree);
        if !said.is_empty() {
            let part = draft.body.map.part(notes);
            draft.body.block();
            draft.body.push(&format!("Notes: {said}\n"), part, 0, 1);
        }
    }
    draft.page(number, start);
    Ok(())
}

fn part_of(package: &mut Package<'_>, relations: &Relations, id: &str) -> Option<Tree> {
    let (_, part) = relations.get(id)?;
    package.part(part).ok()?
}

fn write(blocks: &[Block], part: u32, draft: &mut Draft) {
    let mut before_item = false;
    for (index, block) in blocks.iter().enumerate() {
        if block.text.is_empty() {
            continue;
        }
        if !(block.item && before_item) {
            draft.body.block();
        }
        draft.body.push(&block.text, part, index as u64, index as u64 + 1);
        draft.body.glue("\n");
        before_item = block.item;
    }
}
