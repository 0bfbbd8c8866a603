// Registry: the untyped half of the manager. Names, tenancies and blocks, who may be freed, and the budget.
#ifndef COTENANT_SHARE_REGISTRY_HPP
#define COTENANT_SHARE_REGISTRY_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cotenant/share/accounting.hpp"
#include "cotenant/share/patterns.hpp"
#include "cotenant/share/stats.hpp"
#include "cotenant/share/tenancy.hpp"

namespace cotenant::detail {

// The members that are only declared here are defined in registry_changes.hpp (names, grants), residence.hpp (the budget,
// sending away and bringing back), writing.hpp (write leases), duplicates.hpp and inventory.hpp.
//
// Locks, always taken in this order: mutex_ (names, blocks, models, grants, pins: whatever changes rarely), a shard's
// (finding a tenancy), a tenancy's (its counts). get and release of a known (tensor, model) pair take only
// the last two. No lock is held while user code runs: deleters and storages (Doomed), spill targets, the clock, error handlers.
//
// Only a resident block has open tenancies. Whoever finds one closed takes mutex_ and looks at the block's residence: it
// waits (changed_) while another thread works on the block, and brings it back where it is away.
class Registry {
 public:
  explicit Registry(const ManagerOptions& options)
      : grace_period_(options.grace_period), mode_(options.mode), spill_(options.spill), deduplicate_(options.deduplicate),
        deduplicate_from_(options.deduplicate_from), blocks_(options.max_memory, options.max_memory_of),
        recorder_(std::make_shared<Recorder>(Recorder{Clock(options.clock), nullptr})) {
    if (options.record_timeline) recorder_->timeline = std::make_unique<Timeline>(options.timeline_events);
    if (options.record_events || options.on_event) recorder_->events = std::make_unique<EventLog>(options.event_capacity, options.on_event);
  }
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  // Leases that are alive keep their tensors.
  ~Registry() {
    Doomed doomed(*this);
    const std::lock_guard lock(mutex_);
    for (const auto& [name, entry] : names_)
      for (Tenancy* tenancy : entry->tenancies) if (tenancy->unlist()) doomed.tenancies.push_back(tenancy);
    for (const auto& entry : past_)
      for (Tenancy* tenancy : entry->tenancies) if (tenancy->unlist()) doomed.tenancies.push_back(tenancy);
    if (spill_) for (const auto& [block, record] : blocks_.all()) if (!record.spilled.empty()) doomed.spilled.push_back(record.spilled);
  }

  enum class Same { shape_and_type, elements };
  // An entry, resident as long as `hold` is.
  struct Admitted {
    std::shared_ptr<Entry> entry;
    BlockRef hold;
  };
  // Registers `candidate` or finds the tensor of that name that is the same; then gives the producer, the consumers and
  // the owner of `node` what they asked for, all at once.
  // Errors: AlreadyRegistered, BudgetExceeded; what the spill target raises.
  inline Admitted admit(std::shared_ptr<Entry> candidate, Same same, const TensorOptions& options, LeaseNode* node = nullptr,
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
    return acquire_slowly(node, name, model, dtype, storage_identity);
  }
  // Nothing where there is no such name. Errors: BudgetExceeded and the spill target's, where it has to be brought back.
  Admitted find_resident(std::string_view name);

  std::shared_ptr<Entry> find(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    return found == names_.end() ? nullptr : found->second;
  }

  bool release(std::string_view name, std::string_view model) {
    const TimePoint now = recorder_->clock.now();
    const Pair pair(name, model);
    {
      Shard& shard = shard_of(pair);
      const std::lock_guard lock(shard.lock);
      const auto found = shard.tenancies.find(pair);
      if (found != shard.tenancies.end() && found->second->end_one(now)) return true;
    }
    const std::lock_guard lock(mutex_);
    for (const auto& entry : past_)
      if (entry->name == name)
        for (Tenancy* tenancy : entry->tenancies) if (tenancy->model()->name == model && tenancy->end_one(now)) return true;
    return false;
  }

  std::size_t release_model(std::string_view model);
  ShareResult share(std::string_view name, std::string_view producer, const std::vector<std::string>& consumers);

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
    if (found == names_.end()) return false;
    const BlockRecord& record = blocks_.record(found->second->block);
    return (record.residence == Residence::resident && block_is_free(record.entries, now)) || view_is_spare(*found->second, now);
  }

  bool forget(std::string_view name);
  OptimizationResult optimize(MemoryMode mode);
  MemoryMode mode() const { return mode_; }

  // A write lease under way.
  struct Writing {
    std::shared_ptr<Entry> entry;  // the version that is being replaced
    BlockRef hold;                 // its bytes; empty where they are written in place
    std::size_t reserved = 0;      // bytes that the private copy was promised
    bool in_place = false;
    std::string model;
    std::chrono::steady_clock::time_point began{};
  };
  // Waits for its turn and prepares; taken_for says what the storage takes for a number of bytes. Errors: ReadOnly (a broadcast
  // view), TimedOut, BudgetExceeded, the spill target's, InvalidArgument where this thread is writing it already.
  inline Found begin_write(Writing& writing, std::string_view name, std::string_view model, DType dtype, const void* storage_identity,
                           std::chrono::steady_clock::duration timeout, std::size_t (*taken_for)(std::size_t));
  // Publishes what was written: `next` is the entry of the private copy, null where it was written in place or `failed`.
  void end_write(Writing& writing, std::shared_ptr<Entry> next, bool failed = false);

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
    std::size_t away_bytes = 0, evictions = 0, reloads = 0, deduplicated = 0, deduplicated_bytes = 0;
    std::map<std::string, std::size_t> storage_bytes;
  };
  Inventory inventory() const;
  std::vector<TimelineSample> timeline() const {
    return recorder_->timeline ? recorder_->timeline->samples(recorder_->clock.now()) : std::vector<TimelineSample>();
  }

  std::vector<Event> events() const { return recorder_->events ? recorder_->events->events() : std::vector<Event>(); }
  EventCounts event_counts() const { return recorder_->events ? recorder_->events->counts() : EventCounts(); }
  void deliver() const { recorder_->deliver(); }
  // The registered contents that are equal, or where one is the beginning of the other, compared byte by byte.
  std::vector<MeasuredDuplicate> duplicates();

  // Up to three registered names that `name` may have been meant to be: " Did you mean 'x'?", or nothing.
  std::string suggestion(std::string_view name) const;

 private:
  // What is destroyed after the locks are given back: destroying it may run user code.
  struct Doomed {
    std::vector<std::shared_ptr<Entry>> entries;
    std::vector<Tenancy*> tenancies;
    std::vector<std::shared_ptr<const Derived>> artefacts;
    std::unique_ptr<DerivedSet> set;
    std::vector<BlockRef> holds;
    std::vector<std::string> spilled;  // keys that nobody will load any more
    SpillTarget* const target;  // null where nothing is spilled
    explicit Doomed(const Registry& registry) : target(registry.spill_.get()) {}
    Doomed(const Doomed&) = delete;
    ~Doomed() {
      for (Tenancy* tenancy : tenancies) delete tenancy;
      if (target != nullptr) for (const std::string& key : spilled) target->erase(key);
    }
  };
  using Lock = std::unique_lock<std::mutex>;

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
    TimePoint last_used{};
    return is_unused(entry, last_used) && (entry.grants.empty() || now - last_used >= grace_period_);
  }
  // Not pinned, no lease, no Lease object, no writer. last_used becomes the time of its last release, grant or registration where that is later.
  static bool is_unused(const Entry& entry, TimePoint& last_used) {
    if (entry.pinned || !entry.writer.empty()) return false;
    last_used = std::max(last_used, entry.fresh_since);
    for (const Tenancy* tenancy : entry.tenancies) {
      const Tenancy::Counts counts = tenancy->counts();
      if (counts.held > 0 || counts.objects > 0) return false;
      last_used = std::max(last_used, counts.last_release);
    }
    return true;
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
  void unlist(Tenancy& tenancy, Doomed& doomed);
  bool take_off(Entry& entry, TimePoint now, Doomed& doomed);
  // Takes a closed entry out. Says whether its block went too.
  bool remove(Entry& entry, TimePoint now, Doomed& doomed);
  std::string holders_text(TimePoint now) const;
  void drop_past(TimePoint now, Doomed& doomed);
  void replace(const std::shared_ptr<Entry>& old, const std::shared_ptr<Entry>& next, TimePoint now, Doomed& doomed);

  // Steps that may have to give the lock back. `again`: they did, so whatever the caller knows may have changed.
  enum class Step { ready, again };
  struct Victim {
    Block* block;
    bool for_good;  // it cannot come back: its names go
    double score;
  };
  Found acquire_slowly(LeaseNode& node, std::string_view name, std::string_view model, DType dtype, const void* storage_identity);
  Step make_room(Lock& lock, std::string_view storage, std::size_t bytes, const std::string& name, TimePoint now, Doomed& doomed);
  Step make_resident(Lock& lock, const Entry& entry, TimePoint now, Doomed& doomed);
  std::vector<Victim> victims(TimePoint now, bool tidy, MemoryMode mode);
  void send_away(Lock& lock, const std::vector<Victim>& chosen, TimePoint now, Doomed& doomed, OptimizationResult* result = nullptr);
  std::size_t derived_bytes() const;
  std::size_t drop_artefacts(std::size_t wanted, Doomed& doomed);
  bool comes_back(const Block& block) const { return block.droppable() || (spill_ && block.restorable()); }
  bool may_equal_another(const Entry& entry) const;
  std::size_t content_key(const Entry& entry) const;
  std::shared_ptr<Entry> twin_of(Lock& lock, const Entry& entry);
  std::string next_key();
  void blocks_changed(TimePoint now) {
    if (recorder_->timeline) recorder_->timeline->blocks_changed(now, blocks_.bytes());
  }

  const std::chrono::steady_clock::duration grace_period_;
  const MemoryMode mode_;
  const std::shared_ptr<SpillTarget> spill_;
  const bool deduplicate_;
  const std::size_t deduplicate_from_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a block's residence, a writer's turn
  std::size_t in_transit_ = 0;       // blocks on the way out or in, and comparisons that hold on to one
  std::unordered_map<std::string_view, std::shared_ptr<Entry>> names_;
  std::vector<std::shared_ptr<Entry>> past_;  // versions that were replaced while Lease objects held them
  struct Turns {                              // of the writers of one name
    std::deque<std::size_t> waiting;
    bool taken = false;
    std::thread::id owner;
  };
  std::map<std::string, Turns, std::less<>> turns_;
  std::size_t next_turn_ = 0, evictions_ = 0, reloads_ = 0, deduplicated_ = 0, deduplicated_bytes_ = 0;
  std::unordered_multimap<std::size_t, Entry*> contents_;  // what may be compared, by type, shape and storage
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
