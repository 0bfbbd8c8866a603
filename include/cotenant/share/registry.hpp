// Registry: the untyped half of the manager. Names, tenancies and blocks, who may be freed, and the budget.
#ifndef COTENANT_SHARE_REGISTRY_HPP
#define COTENANT_SHARE_REGISTRY_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cotenant/share/accounting.hpp"
#include "cotenant/share/patterns.hpp"
#include "cotenant/share/stats.hpp"
#include "cotenant/share/tenancy.hpp"

namespace cotenant::detail {

// The members that are only declared here are defined in registry_changes.hpp and inventory.hpp.
//
// Locks, always taken in this order: mutex_ (names, blocks, models, grants, pins: whatever changes rarely), a shard's
// (finding a tenancy), a tenancy's (its counts). get and release of a known (tensor, model) pair take only
// the last two. No lock is held while user code runs: deleters and storages (Doomed), the clock, error handlers.
class Registry {
 public:
  explicit Registry(const ManagerOptions& options)
      : grace_period_(options.grace_period), blocks_(options.max_memory), recorder_(std::make_shared<Recorder>(Recorder{Clock(options.clock), nullptr})) {
    if (options.record_timeline) recorder_->timeline = std::make_unique<Timeline>(options.timeline_events);
  }
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  // Leases that are alive keep their tensors.
  ~Registry() {
    Doomed doomed;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, entry] : names_)
      for (Tenancy* tenancy : entry->tenancies) if (tenancy->unlist()) doomed.tenancies.push_back(tenancy);
  }

  enum class Same { shape_and_type, elements };
  // Registers `candidate` or finds the tensor of that name that is the same; then gives the producer, the consumers and
  // the owner of `node` what they asked for, all at once.
  // Errors: AlreadyRegistered, BudgetExceeded.
  inline std::shared_ptr<Entry> admit(std::shared_ptr<Entry> candidate, Same same, const TensorOptions& options, LeaseNode* node = nullptr,
                                      std::string_view model = {});

  enum class Found { yes, no, other_type };
  // A lease of `name` for `model`, linked to `node`; counts a hit or a miss.
  Found acquire(LeaseNode& node, std::string_view name, std::string_view model, DType dtype, const void* storage_identity) {
    const TimePoint now = recorder_->timeline ? recorder_->clock.now() : TimePoint{};
    const Pair pair(name, model);
    Shard& shard = shard_of(pair);
    {
      const std::lock_guard lock(shard.lock);
      const auto found = shard.tenancies.find(pair);
      if (found != shard.tenancies.end()) {
        const Entry& entry = *found->second->entry();
        if (entry.dtype != dtype || entry.block->storage_identity() != storage_identity) return Found::other_type;
        if (found->second->attach(node, true, now)) return Found::yes;
      }
    }
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    if (found == names_.end()) {
      misses_.fetch_add(1, std::memory_order_relaxed);
      return Found::no;
    }
    const Entry& entry = *found->second;
    if (entry.dtype != dtype || entry.block->storage_identity() != storage_identity) return Found::other_type;
    static_cast<void>(tenancy_of(found->second, model).attach(node, true, now));
    return Found::yes;
  }

  std::shared_ptr<Entry> find(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    return found == names_.end() ? nullptr : found->second;
  }

  bool release(std::string_view name, std::string_view model) {
    const TimePoint now = recorder_->clock.now();
    const Pair pair(name, model);
    Shard& shard = shard_of(pair);
    const std::lock_guard lock(shard.lock);
    const auto found = shard.tenancies.find(pair);
    return found != shard.tenancies.end() && found->second->end_one(now);
  }

  inline std::size_t release_model(std::string_view model);
  inline ShareResult share(std::string_view name, std::string_view producer, const std::vector<std::string>& consumers);

  // What it was before, or nothing where there is no such tensor.
  std::optional<bool> set_pinned(std::string_view name, bool pinned) {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    if (found == names_.end()) return std::nullopt;
    return std::exchange(found->second->pinned, pinned);
  }
  void register_model(std::string_view model) {
    const std::lock_guard lock(mutex_);
    model_of(model)->active = true;
  }
  bool can_be_freed(std::string_view name) const {
    const TimePoint now = recorder_->clock.now();
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    return found != names_.end() && (block_is_free(blocks_.on(found->second->block), now) || view_is_spare(*found->second, now));
  }

  inline bool forget(std::string_view name);
  inline OptimizationResult optimize();

  void add_pattern(const std::string& tensor_kind, const std::vector<std::string>& families) {
    const std::lock_guard lock(mutex_);
    patterns_.add(tensor_kind, families);
  }

  // Everything that reports are computed from, as it was at one moment.
  struct Inventory {
    std::vector<TensorUsage> tensors;         // in order of registration
    std::map<std::string, ModelUsage> models; // every active or holding model; bytes are not filled in
    std::vector<std::pair<std::string, ByteRange>> holdings;
    SharingPatterns patterns;
    std::size_t idle_bytes = 0;
    std::size_t true_bytes = 0, derived_bytes = 0, peak_bytes = 0, max_memory = 0, hits = 0, misses = 0, active_models = 0;
  };
  inline Inventory inventory() const;
  std::vector<TimelineSample> timeline() const {
    return recorder_->timeline ? recorder_->timeline->samples(recorder_->clock.now()) : std::vector<TimelineSample>();
  }

  // Up to three registered names that `name` may have been meant to be: " Did you mean 'x'?", or nothing.
  inline std::string suggestion(std::string_view name) const;

 private:
  // What is destroyed after the locks are given back: destroying it may run user code.
  struct Doomed {
    std::vector<std::shared_ptr<Entry>> entries;
    std::vector<Tenancy*> tenancies;
    Doomed() = default;
    Doomed(const Doomed&) = delete;
    ~Doomed() { for (Tenancy* tenancy : tenancies) delete tenancy; }
  };

  // A (tensor, model) pair as a key. Both views point into the tenancy's entry and model once it is listed.
  struct Pair {
    Pair(std::string_view tensor_name, std::string_view model_name)
        // An odd multiplier keeps (a, b) and (b, a) apart; 2^64 / golden ratio spreads over the high bits.
        : tensor(tensor_name),
          model(model_name),
          hash((std::hash<std::string_view>()(tensor) * 31 + std::hash<std::string_view>()(model)) * std::size_t(0x9E3779B97F4A7C15u)) {}
    friend bool operator==(const Pair& a, const Pair& b) { return a.hash == b.hash && a.tensor == b.tensor && a.model == b.model; }
    std::string_view tensor, model;
    std::size_t hash;
  };
  struct PairHash {
    std::size_t operator()(const Pair& pair) const noexcept { return pair.hash; }
  };
  // Twice as many shards as cores of a usual machine, so that threads on different pairs rarely meet; a cache line each.
  static constexpr std::size_t shard_count = 32;
  struct alignas(64) Shard {
    mutable SpinLock lock;
    std::unordered_map<Pair, Tenancy*, PairHash> tenancies;
  };
  // The top bits choose the shard: the table inside uses the low ones.
  Shard& shard_of(const Pair& pair) { return shards_[(pair.hash >> (sizeof(std::size_t) * 8 - 5)) % shard_count]; }

  // All of these need mutex_.
  const std::shared_ptr<Model>& model_of(std::string_view name) {
    const auto found = models_.find(name);
    if (found != models_.end()) return found->second;
    auto model = std::make_shared<Model>();
    model->name = name;
    const std::string_view key = model->name;
    return models_.emplace(key, std::move(model)).first->second;
  }
  Tenancy& tenancy_of(const std::shared_ptr<Entry>& entry, std::string_view model_name) {
    const Pair wanted(entry->name, model_name);
    Shard& shard = shard_of(wanted);
    {
      const std::lock_guard lock(shard.lock);
      const auto found = shard.tenancies.find(wanted);
      if (found != shard.tenancies.end()) return *found->second;
    }
    const std::shared_ptr<Model>& model = model_of(model_name);
    model->active = true;
    entry->tenancies.reserve(entry->tenancies.size() + 1);
    model->tenancies.reserve(model->tenancies.size() + 1);
    auto tenancy = std::make_unique<Tenancy>(entry, model, recorder_);
    {
      const std::lock_guard lock(shard.lock);
      shard.tenancies.emplace(Pair(entry->name, model->name), tenancy.get());
    }
    entry->tenancies.push_back(tenancy.get());
    model->tenancies.push_back(tenancy.get());
    return *tenancy.release();
  }

  // Not pinned, no lease, no Lease object, no grant or only stale ones.
  bool is_idle(const Entry& entry, TimePoint now) const {
    if (entry.pinned) return false;
    TimePoint fresh_since = entry.fresh_since;
    for (const Tenancy* tenancy : entry.tenancies) {
      const Tenancy::Counts counts = tenancy->counts();
      if (counts.held > 0 || counts.objects > 0) return false;
      fresh_since = std::max(fresh_since, counts.last_release);
    }
    return entry.grants.empty() || now - fresh_since >= grace_period_;
  }
  // Whether freeing the names on a block frees its bytes: all are idle and nobody else has a handle.
  bool block_is_free(const std::vector<Entry*>& entries, TimePoint now) const {
    return std::all_of(entries.begin(), entries.end(), [&](const Entry* entry) { return is_idle(*entry, now); }) &&
           entries.front()->block->references() == entries.size();
  }
  // An idle view whose source is still registered: its name can be made again at no cost.
  bool view_is_spare(const Entry& entry, TimePoint now) const {
    if (entry.source.empty() || !is_idle(entry, now)) return false;
    const auto source = names_.find(entry.source);
    return source != names_.end() && source->second->block == entry.block;
  }

  static void reopen(const Entry& entry) { for (Tenancy* tenancy : entry.tenancies) tenancy->reopen(); }
  // No lease of the entry can begin any more; false, and nothing changes, where there is one.
  static bool close(const Entry& entry, bool despite_objects = false) {
    for (std::size_t index = 0; index < entry.tenancies.size(); ++index) {
      if (entry.tenancies[index]->close(despite_objects)) continue;
      while (index-- > 0) entry.tenancies[index]->reopen();
      return false;
    }
    return true;
  }
  bool close_block(const std::vector<Entry*>& entries) const {
    for (std::size_t index = 0; index < entries.size(); ++index) {
      if (close(*entries[index])) continue;
      while (index-- > 0) reopen(*entries[index]);
      return false;
    }
    // Checked again: a lease that began and ended since may have left a copy of its tensor.
    if (entries.front()->block->references() == entries.size()) return true;
    for (const Entry* entry : entries) reopen(*entry);
    return false;
  }
  inline void unlist(Tenancy& tenancy, Doomed& doomed);
  // Takes a closed entry out. Says whether its block went too.
  inline bool remove(Entry& entry, TimePoint now, Doomed& doomed);
  inline bool make_room(std::size_t missing, TimePoint now, Doomed& doomed, std::size_t& available);
  inline std::string holders_text(TimePoint now) const;

  const std::chrono::steady_clock::duration grace_period_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string_view, std::shared_ptr<Entry>> names_;
  std::unordered_map<std::string_view, std::shared_ptr<Model>> models_;
  BlockTable blocks_;
  SharingPatterns patterns_;
  std::size_t next_order_ = 0;
  std::size_t retired_hits_ = 0;  // of tenancies that are not listed any more
  std::atomic<std::size_t> misses_{0};
  std::array<Shard, shard_count> shards_;
  const std::shared_ptr<Recorder> recorder_;
};

}  // namespace cotenant::detail

#endif
