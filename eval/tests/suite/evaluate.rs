//! An evaluation from files to figures through the product's own code: what is remembered, what is lost where, what spans
//! are covered.
use crate::rig::Rig;
use wellspring_eval::dataset::Dataset;
use wellspring_eval::engine::Switches;
use wellspring_eval::failure::{Stage, analyse};
use wellspring_eval::index::{Indexed, index};
use wellspring_eval::measure::DEFAULT_MEASURES;
use wellspring_eval::retrieval::{RetrievalOptions, evaluate, latency};
use wellspring_eval::{ErrorKind, run};
use wellspring_retrieve::{Fusion, Mode, RetrieveConfig};

const FILES: &[(&str, &str)] = &[
    ("travel policy.md", "# Travel\n\nA hotel night outside a capital may cost at most 95 euros.\n"),
    ("leave.md", "# Leave\n\nEverybody has thirty days of leave a year.\n"),
    ("gateway.md", "# Gateway\n\nError E-4312 means that the clock of the gateway is wrong.\n"),
    ("lunch.md", "# Lunch\n\nThe canteen opens at noon and closes at two.\n"),
];

const QUESTIONS: &str = "question,document,span\n\
    what may a hotel night cost,travel policy.md,hotel night outside a capital may cost at most 95 euros\n\
    what does error E-4312 mean,gateway.md,the clock of the gateway is wrong\n\
    how many days of leave,leave.md,thirty days of leave\n";

fn options() -> RetrievalOptions {
    RetrievalOptions {
        depth: 100,
        measures: DEFAULT_MEASURES.to_vec(),
        concurrency: 2,
        exclude_own_ids: false,
        seed: 1,
    }
}

#[tokio::test]
async fn an_evaluation_scores_what_a_user_finds() {
    let rig = Rig::new().await;
    let (dataset, indexed) = rig.holds(FILES, QUESTIONS).await;
    assert_eq!(indexed.outcomes["indexed"], 4);
    let switches = Switches::default();
    let (report, run) =
        evaluate(&rig.engine, &dataset, &switches, &options(), indexed, &|_| {}).await.unwrap();
    assert_eq!(report.scores.metrics["ndcg@10"], 1.0, "{:?}", report.scores.per_query);
    assert_eq!(report.scores.metrics["span-recall@5"], 1.0);
    assert_eq!(report.confidence.len(), 3);
    assert!(report.cost.tokens_per_query > 3.0);
    assert!(
        !report.detectable.contains_key("ndcg@10"),
        "all values are equal: nothing says how systems differ"
    );
    let file = rig.folder.path().join("run.trec");
    run::write(&file, &run, "test").unwrap();
    assert!(run::read(&file).unwrap()["q0001"].iter().any(|(id, _)| id == "travel policy.md"));
    let live = latency(&rig.engine.retriever, &rig.engine.collection, &dataset, &switches, 2).await.unwrap();
    assert_eq!((live.queries, live.per_query.len()), (2, 2));
    assert!(live.stages.contains_key("total"));
}

#[tokio::test]
async fn a_changed_fusion_asks_no_leg_again_and_finds_the_same_as_asking() {
    let rig = Rig::new().await;
    let (dataset, indexed) = rig.holds(FILES, QUESTIONS).await;
    let evaluated = |engine| {
        let (dataset, indexed): (Dataset, Indexed) = (dataset.clone(), indexed.clone());
        async move {
            evaluate(&engine, &dataset, &Switches::default(), &options(), indexed, &|_| {}).await.unwrap()
        }
    };
    evaluated(rig.engine.clone()).await;
    assert_eq!(rig.engine.legs.asked(), 6, "two legs for each of three queries");

    let config = RetrieveConfig { fusion: Fusion::Rrf { k: 60, weight: 0.5 }, ..RetrieveConfig::default() };
    let remembering = rig.again(config.clone());
    let (_, remembered) = evaluated(remembering.clone()).await;
    assert_eq!(remembering.legs.asked(), 0);
    fs_err::remove_file(rig.folder.path().join("legs")).unwrap();
    let (_, asked) = evaluated(rig.again(config)).await;
    assert_eq!(remembered, asked);

    let noted = index(&rig.engine, &dataset, &|_| panic!("no document is looked at")).await.unwrap();
    assert_eq!((noted.documents, noted.outcomes["unchanged"]), (4, 4));
}

#[tokio::test]
async fn what_is_missed_is_traced_to_the_stage_that_lost_it() {
    let rig = Rig::new().await;
    let questions = "question,document,span\n\
        canteen opening hours,lunch.md,The canteen opens at noon\n\
        what may a hotel night cost,travel policy.md,words that stand nowhere\n\
        zyxwv,leave.md,\n\
        gateway clock error,lunch.md,\n";
    let (dataset, indexed) = rig.holds(FILES, questions).await;
    let switches = Switches { mode: Mode::Keyword, ..Switches::default() };
    let (report, run) =
        evaluate(&rig.engine, &dataset, &switches, &options(), indexed, &|_| {}).await.unwrap();
    assert!(report.asked.values().all(|depth| *depth >= 10) && report.asked.len() == 4);
    let config = RetrieveConfig::default();
    let found = analyse(&rig.engine, &dataset, &switches, &config, (&run, &report.asked), 1).await.unwrap();
    assert_eq!((found.relevant, found.found), (4, 2), "{:?}", found.missed);
    assert_eq!(found.lost[&Stage::NotRecalled], 2, "neither document has a word of its query");
    let missed: Vec<&str> = found.missed.iter().map(|missed| missed.document.as_str()).collect();
    assert_eq!(missed, ["leave.md", "lunch.md"]);

    // Nothing counts as found within no rank at all, so every relevant document is traced.
    let all = analyse(&rig.engine, &dataset, &switches, &config, (&run, &report.asked), 0).await.unwrap();
    assert_eq!(all.lost[&Stage::NotExtracted], 1, "the quote stands nowhere: {:?}", all.missed);
    assert_eq!(all.lost[&Stage::CutByK], 1);
}

#[tokio::test]
async fn judged_documents_must_be_in_the_collection() {
    let rig = Rig::new().await;
    rig.holds(FILES, QUESTIONS).await;
    let path = rig.folder.path().join("other.csv");
    fs_err::write(&path, "question,document\nwhy,leave.md\n").unwrap();
    let there = Dataset::open(&path, None).unwrap();
    assert_eq!(index(&rig.engine, &there, &|_| {}).await.unwrap().documents, 1);
    fs_err::write(&path, "question,document\nwhy,gone.md\n").unwrap();
    let gone = Dataset::open(&path, None).unwrap();
    let error = index(&rig.engine, &gone, &|_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("document `gone.md` is judged"), "{error}");
}
