// What a TensorSharingManager says about itself, as plain structs: usage, statistics, recommendations.
#ifndef COTENANT_SHARE_STATS_HPP
#define COTENANT_SHARE_STATS_HPP
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cotenant/core/element.hpp"
#include "cotenant/core/shape.hpp"

namespace cotenant {

// One registered name.
struct TensorUsage {
  std::string name;
  std::size_t bytes = 0;        // what its elements would need on their own
  std::size_t extra_bytes = 0;  // what it adds to the true bytes: its whole block, or 0 where an earlier name lies on the same block
  std::size_t derived_bytes = 0;  // artefacts made from its elements and kept with them, such as packed weights
  Shape shape;
  DType dtype = DType::f32;
  std::string storage;
  std::size_t references = 0;   // handles on its block at this moment, of this name, of others and outside the manager
  std::size_t leases = 0;
  std::map<std::string, std::size_t> holders;  // leases by model
  std::vector<std::string> grants;
  std::string producer;         // empty: none was named
  std::string source;           // for a view made by create_view, and a form: the name it was made of
  std::string form;             // how, for what a model gets in another form: "f32 → f16". It is listed here only, and is no name to get()
  bool pinned = false;
  bool can_be_freed = false;
  bool resident = true;          // false: its memory was given back, and the next lease brings it back
  std::size_t version = 1;       // one more with every write lease that ends
  std::string writer;            // the model that is writing it; empty: none
};

// One model. Bytes are those of the ranges of its tensors, overlapping views counted once, except total_bytes.
struct ModelUsage {
  std::string name;
  std::size_t total_bytes = 0;       // sum over its tensors
  std::size_t unique_bytes = 0;      // bytes that only it holds
  std::size_t shared_bytes = 0;      // bytes that others hold too
  double proportional_bytes = 0;     // each byte divided by the number of models that hold it
  std::size_t leases = 0;
  std::size_t hits = 0;              // successful get() calls on tensors that are still registered
  std::vector<std::string> tensors;  // that it holds
};

struct SharingStats {
  std::size_t total_tensors = 0;
  std::size_t total_models = 0;    // active ones: named since their last release_model
  std::size_t true_bytes = 0;      // sum of Block::bytes() over distinct registered blocks
  std::size_t derived_bytes = 0;   // artefacts kept with the registered blocks, such as packed weights; not part of true_bytes
  std::size_t replaced_bytes = 0;  // of true_bytes, pages of files that were given back because artefacts are read in their stead
  std::size_t peak_bytes = 0;      // the largest true_bytes so far
  std::size_t max_memory = 0;      // the budget; ManagerOptions::unlimited for none
  std::size_t separate_bytes = 0;  // what it would be if each model had its own copy of the bytes it holds
  std::size_t saved_bytes = 0;     // separate_bytes - true_bytes: (k - 1) times each byte that k models hold
  std::size_t hits = 0;
  std::size_t misses = 0;
  std::size_t away_bytes = 0;        // blocks that were evicted and return with the next lease; not part of true_bytes
  std::size_t evictions = 0;
  std::size_t reloads = 0;
  std::size_t deduplicated = 0;      // registrations that found their content in memory already
  std::size_t deduplicated_bytes = 0;
  std::map<std::string, std::size_t> storage_bytes;  // true_bytes by kind of storage
  double hit_rate = 0;             // hits / (hits + misses); 0 before the first get
  std::map<std::string, TensorUsage, std::less<>> tensors;
  std::map<std::string, ModelUsage, std::less<>> models;
};

// Two or more active models whose families work on the same kind of tensor.
struct SharingOpportunity {
  std::string tensor_kind;           // "text_embedding"
  std::vector<std::string> models;
  std::vector<std::string> tensors;  // registered tensors whose name contains the kind
  std::size_t potential_bytes = 0;   // what those models that hold none of these tensors save by holding the smallest one
};

struct OptimizationResult {
  std::size_t initial_bytes = 0;
  std::size_t current_bytes = 0;
  std::size_t freed_bytes = 0;
  std::size_t freed_tensors = 0;
  double percentage = 0;              // freed_bytes of initial_bytes, 0 to 100
  std::size_t remaining_tensors = 0;
  std::size_t freed_derived_bytes = 0;  // unused artefacts that were dropped; not part of freed_bytes
  std::size_t trimmed_bytes = 0;      // recycled heap memory given back to the system as well
  std::vector<std::string> freed_names;
  std::vector<std::string> evicted_names;  // those of the freed tensors that stay registered: the next lease brings them back
};

// Registered tensors on different bytes that hold the same: measured, not guessed.
struct MeasuredDuplicate {
  std::vector<std::string> tensors;  // the first one's bytes would do for all
  bool equal_shapes = true;          // false: the others equal the beginning of the first along one axis, as padded or cut tables do
  std::size_t saved_bytes = 0;       // what registering them as one tensor, or as views of the first, saves
};

struct OptimizationRecommendations {
  std::vector<TensorUsage> largest_tensors;        // by extra_bytes, at most ten
  std::vector<TensorUsage> low_reference_tensors;  // not pinned and held by at most one model
  std::vector<SharingOpportunity> opportunities;
  std::vector<MeasuredDuplicate> duplicates;
  std::size_t idle_bytes = 0;                      // blocks with no lease and no pin: optimize_memory's, now or after the grace period
  std::size_t potential_savings = 0;               // idle_bytes + every opportunity's potential_bytes + what duplicates would save
  std::vector<std::string> advice;                 // the same as sentences
};

}  // namespace cotenant

#endif
