use super::*;

/// What was asked, what was said, what follows, and how it stands alone; `=` where it does already.
const FOLLOW_UPS: &[(&str, &str, &str, &str)] = &[
    (
        "What is the travel policy?",
        "Travel is booked by the office.",
        "When was it approved?",
        "When was the travel policy approved?",
    ),
    (
        "Who wrote the Heron specification?",
        "It was written by Ada Byron.",
        "When was it published?",
        "When was the Heron specification published?",
    ),
    (
        "Who leads project Heron?",
        "Project Heron is led by Ada Byron.",
        "When did she join?",
        "When did Ada Byron join?",
    ),
    (
        "Who leads project Heron?",
        "Project Heron is led by Ada Byron.",
        "What is her phone number?",
        "What is Ada Byron's phone number?",
    ),
    (
        "How long is the probation period?",
        "Six months.",
        "Can it be extended?",
        "Can the probation period be extended?",
    ),
    ("What does the canteen offer?", "Lunch.", "When does it open?", "When does the canteen open?"),
    (
        "What does the canteen offer?",
        "Lunch.",
        "What are its opening hours?",
        "What are the canteen's opening hours?",
    ),
    (
        "When does the canteen open on Mondays?",
        "At eleven.",
        "Is it open on Sundays?",
        "Is the canteen open on Sundays?",
    ),
    (
        "How many days of annual leave do employees get?",
        "Thirty.",
        "Can they carry days over?",
        "Can employees carry days over?",
    ),
    (
        "How many days of annual leave do employees get?",
        "Thirty.",
        "Does it expire?",
        "Does days of annual leave expire?",
    ),
    (
        "How many days of annual leave do employees get?",
        "Thirty.",
        "And contractors?",
        "How many days of annual leave do employees get? And contractors?",
    ),
    (
        "How many days of annual leave do employees get? And contractors?",
        "None.",
        "What about interns?",
        "How many days of annual leave do employees get? What about interns?",
    ),
    ("Is remote work allowed on Fridays?", "Yes.", "Why?", "Is remote work allowed on Fridays? Why?"),
    (
        "Is remote work allowed on Fridays?",
        "Yes.",
        "Since when?",
        "Is remote work allowed on Fridays? Since when?",
    ),
    ("What is the upload limit?", "50 MB.", "For free plans?", "What is the upload limit? For free plans?"),
    ("What is the upload limit?", "50 MB.", "In Berlin?", "What is the upload limit? In Berlin?"),
    ("What is the upload limit?", "50 MB.", "Who can change that?", "Who can change the upload limit?"),
    (
        "What is the upload limit?",
        "50 MB.",
        "Does this apply to free plans?",
        "Does the upload limit apply to free plans?",
    ),
    ("What is the travel policy?", "…", "Who approved this policy?", "Who approved the travel policy?"),
    (
        "What is the notice period?",
        "Three months.",
        "Contractors?",
        "What is the notice period? Contractors?",
    ),
    ("What is the notice period?", "Three months.", "How long does it take to get a refund?", "="),
    ("What is the notice period?", "Three months.", "Is it possible to work from abroad?", "="),
    ("What is the notice period?", "Three months.", "What is the upload limit?", "="),
    ("What is the notice period?", "Three months.", "How are travel costs paid back?", "="),
    ("What is the notice period?", "Three months.", "And what is the upload limit for free plans?", "="),
    ("What is the notice period?", "Three months.", "Who makes sure that backups run?", "="),
    ("What is the notice period?", "Three months.", "Where can I find IT support?", "="),
    (
        "Was kostet das Jobticket?",
        "49 Euro.",
        "Wie lange ist es gültig?",
        "Wie lange ist das Jobticket gültig?",
    ),
    (
        "Wie funktioniert die Reisekostenabrechnung?",
        "Über das Portal.",
        "Wer genehmigt sie?",
        "Wer genehmigt die Reisekostenabrechnung?",
    ),
    (
        "Wie viele Urlaubstage gibt es?",
        "Dreißig.",
        "Und für Praktikanten?",
        "Wie viele Urlaubstage gibt es? Und für Praktikanten?",
    ),
    (
        "Was kostet das Jobticket?",
        "49 Euro.",
        "Wie viel bezahlt die Firma davon?",
        "Was kostet das Jobticket? Wie viel bezahlt die Firma davon?",
    ),
    ("Was kostet das Jobticket?", "49 Euro.", "Warum?", "Was kostet das Jobticket? Warum?"),
    ("Was kostet das Jobticket?", "49 Euro.", "Wie hoch ist das Uploadlimit?", "="),
    ("Was kostet das Jobticket?", "49 Euro.", "Wann haben Sie geöffnet?", "="),
];

#[test]
fn follow_ups_stand_alone() {
    let mut wrong = Vec::new();
    for &(question, answer, follow_up, expected) in FOLLOW_UPS {
        let made = standalone(follow_up, &Before { question, answer });
        if made.as_deref().unwrap_or("=") != expected {
            wrong.push(format!("{question} {follow_up}\n  {}\n  {expected}", made.as_deref().unwrap_or("=")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), FOLLOW_UPS.len(), wrong.join("\n"));
}

#[test]
fn nothing_follows_nothing() {
    assert_eq!(standalone("And it?", &Before { question: "", answer: "" }), None);
    assert_eq!(standalone("", &Before { question: "What is x?", answer: "" }), None);
}
