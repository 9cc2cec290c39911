//! What the stand-in keeps, and how it answers each message. It refuses what would break a promise of ours: writes that do not
//! wait, deletes that are not strongly ordered, searches that do not name the tenant.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::alias_operations::Action;
use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::{
    ChangeAliases, CollectionDescription, CollectionExists, CollectionExistsRequest,
    CollectionExistsResponse, CollectionInfo, CollectionOperationResponse, CollectionStatus, CountPoints,
    CountResponse, CountResult, CreateCollection, CreateFieldIndexCollection, DeleteCollection, DeletePoints,
    DenseVector, Filter, GetCollectionInfoRequest, GetCollectionInfoResponse, GetPoints, GetResponse,
    HealthCheckReply, HealthCheckRequest, ListCollectionsRequest, ListCollectionsResponse,
    NamedVectorsOutput, PointId, PointStruct, PointsOperationResponse, QueryPoints, QueryResponse,
    RetrievedPoint, ScoredPoint, ScrollPoints, ScrollResponse, UpsertPoints, VectorOutput, VectorsOutput,
    WriteOrdering, WriteOrderingType, query, vector, vector_input, vector_output, vectors, vectors_output,
};
use tonic::Status;

pub(super) struct State {
    version: String,
    collections: BTreeMap<String, BTreeMap<u64, PointStruct>>,
    aliases: HashMap<String, String>,
}

/// A message, and how it is answered.
pub(super) trait Asked {
    type Answer;
    fn asked(self, state: &mut State) -> Result<Self::Answer, Status>;
}

macro_rules! asked {
    ($($request:ident -> $answer:ident, $self:ident, $state:ident $body:block)*) => {$(
        impl Asked for $request {
            type Answer = $answer;
            fn asked($self, $state: &mut State) -> Result<$answer, Status> $body
        }
    )*};
}

asked! {
    HealthCheckRequest -> HealthCheckReply, self, state {
        Ok(HealthCheckReply { title: "stand-in".to_owned(), version: state.version.clone(), commit: None })
    }

    GetCollectionInfoRequest -> GetCollectionInfoResponse, self, state {
        state.points(&self.collection_name)?;
        let info = CollectionInfo { status: CollectionStatus::Green.into(), ..CollectionInfo::default() };
        Ok(GetCollectionInfoResponse { result: Some(info), time: 0.0 })
    }

    ListCollectionsRequest -> ListCollectionsResponse, self, state {
        let collections = state.collections.keys().map(|name| CollectionDescription { name: name.clone() });
        Ok(ListCollectionsResponse { collections: collections.collect(), time: 0.0 })
    }

    CreateCollection -> CollectionOperationResponse, self, state {
        if state.collections.contains_key(&self.collection_name) {
            return Err(Status::invalid_argument("Wrong input: Collection already exists!"));
        }
        state.collections.insert(self.collection_name, BTreeMap::new());
        Ok(CollectionOperationResponse { result: true, time: 0.0 })
    }

    DeleteCollection -> CollectionOperationResponse, self, state {
        let result = state.collections.remove(&self.collection_name).is_some();
        state.aliases.retain(|_, name| *name != self.collection_name);
        Ok(CollectionOperationResponse { result, time: 0.0 })
    }

    ChangeAliases -> CollectionOperationResponse, self, state {
        for action in self.actions {
            match action.action {
                Some(Action::CreateAlias(made)) => {
                    state.points(&made.collection_name)?;
                    state.aliases.insert(made.alias_name, made.collection_name);
                }
                _ => return Err(Status::unimplemented("this change of aliases")),
            }
        }
        Ok(CollectionOperationResponse { result: true, time: 0.0 })
    }

    CollectionExistsRequest -> CollectionExistsResponse, self, state {
        let exists = state.collections.contains_key(&self.collection_name);
        Ok(CollectionExistsResponse { result: Some(CollectionExists { exists }), time: 0.0 })
    }

    CreateFieldIndexCollection -> PointsOperationResponse, self, state {
        state.points(&self.collection_name)?;
        Ok(PointsOperationResponse::default())
    }

    UpsertPoints -> PointsOperationResponse, self, state {
        waits(self.wait)?;
        let points = state.points(&self.collection_name)?;
        for point in self.points {
            points.insert(number(point.id.clone())?, point);
        }
        Ok(PointsOperationResponse::default())
    }

    DeletePoints -> PointsOperationResponse, self, state {
        waits(self.wait)?;
        if self.ordering != Some(WriteOrdering { r#type: WriteOrderingType::Strong.into() }) {
            return Err(Status::invalid_argument("a delete that is not strongly ordered"));
        }
        let Some(PointsSelectorOneOf::Points(listed)) = self.points.and_then(|p| p.points_selector_one_of)
        else {
            return Err(Status::unimplemented("this selector"));
        };
        let points = state.points(&self.collection_name)?;
        for id in listed.ids {
            points.remove(&number(Some(id))?);
        }
        Ok(PointsOperationResponse::default())
    }

    GetPoints -> GetResponse, self, state {
        let points = state.points(&self.collection_name)?;
        let mut result = Vec::new();
        for id in self.ids {
            if let Some(point) = points.get(&number(Some(id))?) {
                let named = named(point).map(|(name, data)| {
                    let kept = vector_output::Vector::Dense(DenseVector { data: data.to_vec() });
                    (name.clone(), VectorOutput { vector: Some(kept), ..VectorOutput::default() })
                });
                let named = NamedVectorsOutput { vectors: named.collect() };
                let vectors_options = Some(vectors_output::VectorsOptions::Vectors(named));
                result.push(RetrievedPoint {
                    id: point.id.clone(),
                    payload: point.payload.clone(),
                    vectors: Some(VectorsOutput { vectors_options }),
                    ..RetrievedPoint::default()
                });
            }
        }
        Ok(GetResponse { result, ..GetResponse::default() })
    }

    ScrollPoints -> ScrollResponse, self, state {
        let points = state.points(&self.collection_name)?;
        let first = self.offset.map_or(Ok(0), |offset| number(Some(offset)))?;
        let limit = self.limit.unwrap_or(10) as usize;
        let mut page = points.range(first..);
        let result = page.by_ref().take(limit).map(|(_, point)| RetrievedPoint {
            id: point.id.clone(),
            ..RetrievedPoint::default()
        });
        let result = result.collect();
        let next_page_offset = page.next().map(|(id, _)| PointId::from(*id));
        Ok(ScrollResponse { next_page_offset, result, ..ScrollResponse::default() })
    }

    CountPoints -> CountResponse, self, state {
        let filter = named_tenant(self.filter)?;
        let points = state.points(&self.collection_name)?;
        let count = points.values().filter(|point| passes(&filter, point)).count() as u64;
        Ok(CountResponse { result: Some(CountResult { count }), ..CountResponse::default() })
    }

    QueryPoints -> QueryResponse, self, state {
        let filter = named_tenant(self.filter)?;
        let Some(query::Variant::Nearest(vector_input)) = self.query.and_then(|query| query.variant) else {
            return Err(Status::unimplemented("this query"));
        };
        let Some(vector_input::Variant::Dense(asked)) = vector_input.variant else {
            return Err(Status::unimplemented("this vector"));
        };
        let using = self.using.unwrap_or_default();
        let points = state.points(&self.collection_name)?;
        let mut result: Vec<ScoredPoint> = points
            .values()
            .filter(|point| passes(&filter, point))
            .filter_map(|point| {
                let (_, data) = named(point).find(|(name, _)| **name == using)?;
                let score = data.iter().zip(&asked.data).map(|(a, b)| a * b).sum();
                Some(ScoredPoint { id: point.id.clone(), score, ..ScoredPoint::default() })
            })
            .collect();
        // Equal ones last to first: a server breaks ties as it likes.
        result.reverse();
        result.sort_by(|a, b| b.score.total_cmp(&a.score));
        result.truncate(self.limit.unwrap_or(10) as usize);
        Ok(QueryResponse { result, ..QueryResponse::default() })
    }
}

impl State {
    pub(super) fn new(version: &str) -> Self {
        Self { version: version.to_owned(), collections: BTreeMap::new(), aliases: HashMap::new() }
    }

    /// By a collection's name, or its alias.
    fn points(&mut self, name: &str) -> Result<&mut BTreeMap<u64, PointStruct>, Status> {
        let name = self.aliases.get(name).map_or(name, String::as_str).to_owned();
        self.collections
            .get_mut(&name)
            .ok_or_else(|| Status::not_found(format!("Not found: Collection `{name}` doesn't exist!")))
    }
}

fn waits(wait: Option<bool>) -> Result<(), Status> {
    match wait {
        Some(true) => Ok(()),
        _ => Err(Status::invalid_argument("a write that does not wait")),
    }
}

fn named_tenant(filter: Option<Filter>) -> Result<Filter, Status> {
    let names = |filter: &Filter| {
        filter.must.iter().any(|condition| {
            matches!(&condition.condition_one_of, Some(ConditionOneOf::Field(field)) if field.key == "tenant")
        })
    };
    filter.filter(names).ok_or_else(|| Status::invalid_argument("a request that names no tenant"))
}

fn passes(filter: &Filter, point: &PointStruct) -> bool {
    filter.must.iter().all(|condition| match &condition.condition_one_of {
        Some(ConditionOneOf::Field(field)) => {
            let wanted = field.r#match.as_ref().and_then(|wanted| wanted.match_value.as_ref());
            let kept = point.payload.get(&field.key).and_then(|value| value.as_str());
            matches!((wanted, kept), (Some(MatchValue::Keyword(wanted)), Some(kept)) if wanted == kept)
        }
        Some(ConditionOneOf::HasId(listed)) => listed.has_id.iter().any(|id| Some(id) == point.id.as_ref()),
        _ => false,
    })
}

/// A point's vectors by name.
fn named(point: &PointStruct) -> impl Iterator<Item = (&String, &[f32])> {
    let named = match point.vectors.as_ref().and_then(|vectors| vectors.vectors_options.as_ref()) {
        Some(vectors::VectorsOptions::Vectors(named)) => Some(&named.vectors),
        _ => None,
    };
    named.into_iter().flatten().filter_map(|(name, vector)| match &vector.vector {
        Some(vector::Vector::Dense(dense)) => Some((name, dense.data.as_slice())),
        _ => None,
    })
}

fn number(id: Option<PointId>) -> Result<u64, Status> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Num(number)) => Ok(number),
        _ => Err(Status::invalid_argument("an id that is no number")),
    }
}
