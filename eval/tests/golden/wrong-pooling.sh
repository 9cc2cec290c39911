#!/usr/bin/env bash
# Writes run files of one dataset by the default model as it is, and broken: with its pooling set to CLS in place of the mean.
#
#   eval/tests/golden/wrong-pooling.sh WELLSPRING DATASET OUT [DEPTH]
#
# Made are OUT/{good,broken}.{keyword,dense,hybrid}.trec. The committed ones in wrong-pooling/ are those of datasets/ostermere
# with a depth of 10; only the dense ones are committed.
set -euo pipefail

wellspring=$1 dataset=$2 out=$3 depth=${4:-100}
model=all-MiniLM-L6-v2
cache=${WELLSPRING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wellspring}

mkdir -p "$out/cache/models"
cp -r "$cache/models/$model" "$out/cache/models/"
ln -sfn "$cache/lib" "$out/cache/lib"
sed -i 's/"pooling": "mean"/"pooling": "cls"/' "$out/cache/models/$model/model.json"

run() {
  "$wellspring" eval retrieval --dataset "$dataset" --mode all --model "$model/int8" -k "$depth" --latency-queries 0 \
    --work "$out/work-$1" --run-file "$out/$1.trec"
}
run good
WELLSPRING_CACHE="$out/cache" run broken
