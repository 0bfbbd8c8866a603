// Registry: the untyped half of the manager. Names, tenancies and blocks, who may be freed, and the budget.
#ifndef COTENANT_SHARE_REGISTRY_HPP
#define COTENANT_SHARE_REGISTRY_HPP
#include <algorithm>
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
#include "cotenant/share/doomed.hpp"
#include "cotenant/share/entry_use.hpp"
#include "cotenant/share/make_form.hpp"
#include "cotenant/share/patterns.hpp"
#include "cotenant/share/stats.hpp"
#include "cotenant/share/tenancy_table.hpp"

namespace cotenant::detail {

// The members that are only declared here are defined in holders.hpp (models, their leases), registry_changes.hpp (names, grants),
// artefact_room.hpp, residence.hpp (the budget, sending away and bringing back), acquire.hpp (how a lease begins), forms.hpp, writing.hpp
// (write leases), duplicates.hpp and inventory.hpp.
//
// Locks, always taken in this order: a RegistryLink's (whether there still is a registry), mutex_ (names, blocks, models, grants, pins:
// whatever changes rarely), a TenancyTable shard's (finding a tenancy), a tenancy's (its counts). get and release of a known (tensor,
// model) pair take only the last two. No lock is held while user code runs: deleters and storages (Doomed), spill targets, the clock,
// error handlers.
//
// Only a resident block has open tenancies. Whoever finds one closed takes mutex_ and looks at the block's residence: it
// waits (changed_) while another thread works on the block, and brings it back where it is away.
class Registry {
 public:
  explicit Registry(const ManagerOptions& options)
      : grace_period_(options.grace_period), mode_(options.mode), spill_(options.spill), deduplicate_(options.deduplicate),
        deduplicate_from_(options.deduplicate_from), recorder_(std::make_shared<Recorder>(Clock(options.clock))),
        blocks_(options.max_memory, options.max_memory_of, &recorder_->refusals) {
    link_->registry = this;
    if (options.record_timeline) recorder_->timeline = std::make_unique<Timeline>(options.timeline_events);
    if (options.record_events || options.on_event) recorder_->events = std::make_unique<EventLog>(options.event_capacity, options.on_event);
  }
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  // Leases that are alive keep their tensors.
  ~Registry() {
    {
      const std::lock_guard lock(link_->mutex);
      link_->registry = nullptr;
      recorder_->refusals.forget();  // nobody limits memory any more
    }
    Doomed doomed(spill_.get());
    const std::lock_guard lock(mutex_);
    for (const auto& [name, entry] : names_)
      for (Tenancy* tenancy : entry->tenancies) if (tenancy->unlist()) doomed.tenancies.push_back(tenancy);
    for (const auto& entry : past_)
      for (Tenancy* tenancy : entry->tenancies) if (tenancy->unlist()) doomed.tenancies.push_back(tenancy);
    for (const auto& [block, record] : blocks_.all())
      for (const FormSlot& form : record.forms)
        if (form.entry) for (Tenancy* tenancy : form.entry->tenancies) if (tenancy->unlist()) doomed.tenancies.push_back(tenancy);
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

  // other_type: the tensor has another element type or storage, or the model takes it in a form of its own. See acquire_form().
  enum class Found { yes, no, other_type };
  // A lease of `name` for `model`, linked to `node`; counts a hit or a miss.
  Found acquire(LeaseNode& node, std::string_view name, std::string_view model, DType dtype, StorageIdentity storage_identity) {
    const TimePoint now = recorder_->timeline ? recorder_->clock.now() : TimePoint{};
    bool other_type = false;
    const bool attached = tenancies_.with(TenancyKey(name, model), [&](Tenancy& tenancy) {
      const Entry& entry = *tenancy.entry();
      other_type = entry.dtype != dtype || entry.block->storage_identity() != storage_identity;
      return !other_type && tenancy.attach(node, true, now);
    });
    if (other_type) return Found::other_type;
    return attached ? Found::yes : acquire_slowly(node, name, model, dtype, storage_identity);
  }
  // What a form is asked for in, by an element type and a storage that only the caller knows.
  struct FormRequest {
    DType dtype;
    StorageIdentity storage_identity;
    QuantizeOptions ranges;
    const FormRoom* room;  // null where nothing can be computed into that storage
    std::shared_ptr<Entry> (*entry)(std::string name, MadeForm made);
  };
  // A lease of the form of `name` that the model takes, made where nobody has made it yet; counts a hit or a miss. other_type where the
  // storage is another one, in which there is none. Errors: TypeError and ShapeError (there is no such form), BudgetExceeded, the
  // spill target's, what a projection throws.
  inline Found acquire_form(LeaseNode& node, std::string_view name, std::string_view model, const FormRequest& request);
  // How a model takes a tensor of that name, now and later; nothing: as it is.
  void set_form(std::string_view name, std::string_view model, std::optional<TensorForm> form);
  // Nothing where there is no such name. Errors: BudgetExceeded and the spill target's, where it has to be brought back.
  Admitted find_resident(std::string_view name);

  std::shared_ptr<Entry> find(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    return found == names_.end() ? nullptr : found->second;
  }

  // Ends one lease; false where the model holds none.
  bool release(std::string_view name, std::string_view model);
  std::size_t release_model(std::string_view model);
  ShareResult share(std::string_view name, std::string_view producer, const std::vector<std::string>& consumers);

  // What it was before, or nothing where there is no such tensor.
  std::optional<bool> set_pinned(std::string_view name, bool pinned) {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    if (found == names_.end()) return std::nullopt;
    recorder_->refusals.forget();  // what is pinned no longer may let its artefacts go
    return std::exchange(found->second->pinned, pinned);
  }
  void register_model(std::string_view model);
  bool can_be_freed(std::string_view name) const {
    const TimePoint now = recorder_->clock.now();
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    if (found == names_.end()) return false;
    const BlockRecord& record = blocks_.record(found->second->block);
    return (record.residence == Residence::resident && block_is_free(record, now)) || view_is_spare(*found->second, now);
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
  inline Found begin_write(Writing& writing, std::string_view name, std::string_view model, DType dtype, StorageIdentity storage_identity,
                           std::chrono::steady_clock::duration timeout, std::size_t (*taken_for)(std::size_t));
  // Publishes what was written: `next` is the entry of the private copy, null where it was written in place or `failed`.
  void end_write(Writing& writing, std::shared_ptr<Entry> next, bool failed = false);

  void add_pattern(const std::string& tensor_kind, const std::vector<std::string>& families) {
    const std::lock_guard lock(mutex_);
    patterns_.add(tensor_kind, families);
  }

  // Whether an artefact of so many bytes fits beside everything else; they are taken then, until they are given back.
  bool promise_artefact(std::size_t bytes, Doomed& doomed);
  void unpromise_artefact(std::size_t bytes);

  // Everything that reports are computed from, as it was at one moment.
  struct Inventory {
    std::vector<TensorUsage> tensors;  // in order of registration
    std::vector<std::pair<std::string, ByteRange>> holdings;
    SharingPatterns patterns;
    std::size_t idle_bytes = 0;
    SharingStats stats;  // of the moment; statistics() adds what is computed from the holdings
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
  using Lock = std::unique_lock<std::mutex>;

  // All of these need mutex_.
  const std::shared_ptr<Model>& model_of(std::string_view name);
  Tenancy& tenancy_of(const std::shared_ptr<Entry>& entry, std::string_view model_name);
  std::shared_ptr<const TensorForm> form_of(std::string_view name, std::string_view model) const;
  // Not pinned, no lease, no Lease object, no grant or only stale ones.
  bool is_idle(const Entry& entry, TimePoint now) const {
    TimePoint last_used{};
    return is_unused(entry, last_used) && (entry.grants.empty() || now - last_used >= grace_period_);
  }
  // Whether freeing the names on a block frees its bytes: all are idle and nobody else has a handle.
  bool block_is_free(const BlockRecord& record, TimePoint now) const {
    const std::vector<Entry*>& entries = record.entries;
    const Block& block = *entries.front()->block;
    return std::all_of(entries.begin(), entries.end(), [&](const Entry* entry) { return is_idle(*entry, now); }) && block.references() == entries.size() &&
           (((spill_ || block.retreats()) && comes_back(block)) || !form_is_held(record, true));  // for good it goes with its forms
  }
  // An idle view whose source is still registered: its name can be made again at no cost.
  bool view_is_spare(const Entry& entry, TimePoint now) const {
    if (entry.source.empty() || !is_idle(entry, now)) return false;
    const auto source = names_.find(entry.source);
    return source != names_.end() && source->second->block == entry.block;
  }

  void unlist(Tenancy& tenancy, Doomed& doomed);
  bool take_off(Entry& entry, TimePoint now, Doomed& doomed);
  void drop_forms(BlockRecord& record, TimePoint now, Doomed& doomed, bool only_unused_views = false);
  void remove_form(Entry& form, TimePoint now, Doomed& doomed);
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
    std::size_t counted;  // bytes of it, without pages that were given back
  };
  template <class Use> Found when_resident(Lock& lock, std::string_view name, TimePoint now, Doomed& doomed, const Use& use);
  Found acquire_slowly(LeaseNode& node, std::string_view name, std::string_view model, DType dtype, StorageIdentity storage_identity);
  Step make_room(Lock& lock, std::string_view storage, std::size_t bytes, const std::string& name, TimePoint now, Doomed& doomed);
  Step make_resident(Lock& lock, const Entry& entry, TimePoint now, Doomed& doomed);
  std::vector<Victim> victims(TimePoint now, bool tidy, MemoryMode mode);
  void send_away(Lock& lock, const std::vector<Victim>& chosen, TimePoint now, Doomed& doomed, OptimizationResult* result = nullptr);
  Beside beside(std::string_view storage) const;
  template <class Which> std::size_t drop_artefacts(std::size_t wanted, Doomed& doomed, const Which& which);
  std::size_t drop_artefacts(std::size_t wanted, Doomed& doomed) { return drop_artefacts(wanted, doomed, [](const BlockRecord&) { return true; }); }
  bool comes_back(const Block& block) const { return block.droppable() || block.retreats() || (spill_ && block.restorable()); }
  bool settle_devices(Lock& lock, Doomed& doomed);
  bool may_equal_another(const Entry& entry) const;
  std::size_t content_key(const Entry& entry) const;
  std::shared_ptr<Entry> twin_of(Lock& lock, const Entry& entry);
  std::string next_key();
  // Puts an entry on its block, whose bytes are counted from here on.
  void list_on_block(Entry& entry, TimePoint now) {
    if (recorder_->events || blocks_.is_limited()) entry.block->observe_derived(make_ref<DeriveNote>(link_, recorder_, entry.name));
    if (blocks_.add(entry)) blocks_changed(now);
  }
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
  std::map<std::string, std::map<std::string, std::shared_ptr<const TensorForm>, std::less<>>, std::less<>> wanted_;  // by tensor, by model
  std::size_t next_turn_ = 0, evictions_ = 0, reloads_ = 0, deduplicated_ = 0, deduplicated_bytes_ = 0;
  std::unordered_multimap<std::size_t, Entry*> contents_;  // what may be compared, by type, shape and storage
  std::unordered_map<std::string_view, std::shared_ptr<Model>> models_;
  const std::shared_ptr<Recorder> recorder_;
  BlockTable blocks_;
  SharingPatterns patterns_;
  std::size_t next_order_ = 0;
  std::size_t retired_hits_ = 0;  // of tenancies that are not listed any more
  std::atomic<std::size_t> misses_{0};
  TenancyTable tenancies_;
  std::size_t promised_ = 0;  // bytes of artefacts that are being made
  const std::shared_ptr<RegistryLink> link_ = std::make_shared<RegistryLink>();
};

}  // namespace cotenant::detail

#endif
