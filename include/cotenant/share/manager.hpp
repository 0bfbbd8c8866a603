// TensorSharingManager: tensors by name, leased to models by name, within one memory budget.
#ifndef COTENANT_SHARE_MANAGER_HPP
#define COTENANT_SHARE_MANAGER_HPP
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/duplicates.hpp"
#include "cotenant/share/inventory.hpp"
#include "cotenant/share/lease.hpp"
#include "cotenant/share/registry.hpp"
#include "cotenant/share/registry_changes.hpp"
#include "cotenant/share/report.hpp"
#include "cotenant/share/residence.hpp"
#include "cotenant/share/sweeper.hpp"
#include "cotenant/share/write_lease.hpp"

namespace cotenant {

namespace detail {
struct ManagerAccess;
}

// A tensor is registered once and leased by name. A *lease* ("t5 is using this") and a pin keep it; a *grant* ("t5 may
// use this") keeps it only for the grace period after the last release, registration or grant. A tensor that
// nothing keeps stays available until optimize_memory(), or a registration that needs its room, frees it; and only if
// that gives bytes back: while a view, or any handle outside the manager, uses its block, the name stays too.
// With a spill target (ManagerOptions::spill) such a tensor is *evicted* instead: it keeps its name, and the next lease brings
// its bytes back. So is, for room, a tensor on a mapped file, whose pages are just dropped; and one that only a fresh grant waits for.
// Leases are counted per (tensor, model): twice acquired is twice released.
//
// Models that take a tensor in another element type, width or layout share a form of it: see get() and set_form().
//
// Every function may be called from any number of threads at once. Tensors and leases may outlive the manager.
class TensorSharingManager {
 public:
  explicit TensorSharingManager(const ManagerOptions& options = {}) : registry_(std::make_shared<detail::Registry>(options)) {
    if (options.sweep_interval > std::chrono::steady_clock::duration::zero())
      sweeper_.emplace(options.sweep_interval, [this] { static_cast<void>(optimize_memory()); });
  }
  TensorSharingManager(const TensorSharingManager&) = delete;
  TensorSharingManager& operator=(const TensorSharingManager&) = delete;

  // Registers a tensor and returns it; from then on nobody writes to its block in place. Where the name exists with the
  // same shape, element type and storage, returns the existing tensor. Either way a named producer holds a
  // lease afterwards (one more only if it held none), until release() or release_model(); consumers have grants.
  // A tensor on a block that is registered already adds no bytes; nor does a large one that equals a registered tensor in
  // type, shape, storage and every byte: it becomes another name of that one's bytes (ManagerOptions::deduplicate).
  // Errors: AlreadyRegistered (same name, another shape, type or storage); BudgetExceeded (too large, also after freeing
  // what can be freed; says who holds what, and nothing is lost); InvalidArgument (empty name or tensor).
  template <Element T, Storage S> SharedTensor<T, S> register_tensor(std::string name, SharedTensor<T, S> tensor, const TensorOptions& options = {}) {
    require_name(name, "a tensor");
    for (const std::string& consumer : options.consumers) require_name(consumer, "a consumer");
    if (!tensor) raise<InvalidArgument>("cannot register '" + name + "': the tensor is empty (default-constructed or moved from)");
    auto candidate = std::make_shared<detail::TypedEntry<T, S>>(std::move(name), std::move(tensor));
    const detail::Registry::Admitted admitted = registry_->admit(std::move(candidate), detail::Registry::Same::shape_and_type, options);
    registry_->deliver();
    return typed<T, S>(*admitted.entry).tensor;
  }

  // The same for quantised values with their scale (and zero point): they are copied side by side into one block where they are not in
  // one, and leased, counted and sent away together. get<float>() and its like give the numbers that they stand for. Errors: also ShapeError where the scale
  // does not divide the values.
  template <QuantizedElement Q, Storage S>
  Quantized<Q, S> register_tensor(std::string name, const Quantized<Q, S>& tensor, const TensorOptions& options = {}) requires(S::host_accessible) {
    require_name(name, "a tensor");
    for (const std::string& consumer : options.consumers) require_name(consumer, "a consumer");
    detail::MadeForm made = detail::pack_quantized(tensor);
    auto candidate = std::make_shared<detail::TypedEntry<Q, S>>(std::move(name), SharedTensor<Q, S>(made.block, made.layout), made.parameters);
    made.block = {};
    const detail::Registry::Admitted admitted = registry_->admit(std::move(candidate), detail::Registry::Same::shape_and_type, options);
    registry_->deliver();
    return typed<Q, S>(*admitted.entry).quantized();
  }

  // A lease on a tensor; counts a hit. The lease ends when the object is destroyed.
  //
  // Where the model takes the tensor in another form (see set_form()), or asks for another element type than it was registered with,
  // it gets a tensor that was made from it: once, for all who ask for the same, counted once, found by the next one, dropped when room
  // is needed and nobody leases it, never of an older version than the tensor's. float, f16 and bf16 become each other by convert();
  // int8_t, uint8_t and i4x2 are those numbers quantised in ranges that are found in them (by default one for each row), and
  // lease.quantized() has the scale; quantised values become numbers again where they were registered with their scale.
  // Other integers stay what they are. A form lies in storage S, which must be one that the host can write; a view, where the tensor is.
  //
  // Errors: NotFound (counts a miss); TypeError where its elements do not become T, or it lies in another storage; ShapeError
  // where its shape does not fit the model's form or the ranges; BudgetExceeded (no room for what has to be made or brought back);
  // InvalidArgument (empty model).
  template <Element T, Storage S = Heap> [[nodiscard]] Lease<T,
      S> get(std::string_view name, std::string_view model) { return get_as<T, S>(name, model, per_row); }
  template <QuantizedElement T, Storage S = Heap>
  [[nodiscard]] Lease<T, S> get(std::string_view name, std::string_view model, const QuantizeOptions& ranges) {
    return get_as<T, S>(name, model, ranges);
  }
  // The same, or nothing (a miss) where there is no tensor of that name.
  template <Element T, Storage S = Heap> [[nodiscard]] std::optional<Lease<T, S>> try_get(std::string_view name, std::string_view model) {
    require_name(model, "a model");
    std::optional<Lease<T, S>> lease;
    Lease<T, S> found([&](detail::LeaseNode& node) { static_cast<void>(acquire<T, S>(node, name, model, per_row)); });
    if (found) lease = std::move(found);
    return lease;
  }

  // How a model takes the tensor of that name, registered now or later: what get() gives it from then on. Leases that it has go on as they
  // are. Ends with release_model(). Errors: InvalidArgument (an empty name).
  void set_form(std::string_view name, std::string_view model, TensorForm form) {
    require_name(name, "a tensor");
    require_name(model, "a model");
    registry_->set_form(name, model, std::move(form));
  }
  // From now on the model gets the tensor as it is.
  void clear_form(std::string_view name, std::string_view model) { registry_->set_form(name, model, std::nullopt); }

  // Registers the box of `sizes` elements from `offsets` of a tensor under a name of its own, without a copy, and leases
  // it to a model. It adds no bytes and keeps its bytes whatever becomes of the source's name. Where
  // the new name exists with the same elements, leases that; counts neither a hit nor a miss.
  // Errors: NotFound (no such source), TypeError, ShapeError (outside the source), AlreadyRegistered, InvalidArgument.
  template <Element T, Storage S = Heap>
  [[nodiscard]] Lease<T, S> create_view(std::string_view source_name, std::string new_name, const Shape& offsets, const Shape& sizes, std::string_view model) {
    require_name(new_name, "a view");
    require_name(model, "a model");
    const detail::Registry::Admitted source = registry_->find_resident(source_name);
    if (!source.entry) raise_not_found(source_name);
    if (!is_typed<T, S>(*source.entry)) raise_other_type<T, S>(source_name);
    auto candidate = std::make_shared<detail::TypedEntry<T, S>>(std::move(new_name), typed<T, S>(*source.entry).tensor.slice(offsets, sizes));
    candidate->source = source.entry->name;
    return Lease<T, S>([&](detail::LeaseNode& node) {
      static_cast<void>(registry_->admit(std::move(candidate), detail::Registry::Same::elements, {}, &node, model));
      registry_->deliver();
    });
  }

  // The exclusive right to write a tensor: waits for writers that came before, in their order, and begins with the present
  // elements. When the lease ends the tensor has a new version; who holds the old one keeps it. See WriteLease.
  // Errors: TimedOut (others were still writing after `timeout`), NotFound, TypeError, ReadOnly (a view that repeats
  // elements), BudgetExceeded (no room for the private copy that is made where others hold the bytes), InvalidArgument (empty
  // model, or this thread is writing the tensor already).
  template <Element T, AllocatingStorage S = Heap>
  [[nodiscard]] WriteLease<T,
      S> write(std::string_view name, std::string_view model, std::chrono::steady_clock::duration timeout = std::chrono::hours(24 * 365)) {
    require_name(model, "a model");
    detail::Registry::Writing writing;
    const auto found = registry_->begin_write(writing, name, model, dtype_of<T>, StorageIdentity::of<S>(), timeout, [](std::size_t bytes) {
      if constexpr (std::same_as<S, Heap>) return HeapCache::padded(bytes);
      else return bytes;
    });
    if (found == detail::Registry::Found::no) raise_not_found(name);
    if (found == detail::Registry::Found::other_type) raise_other_type<T, S>(name);
    return WriteLease<T, S>(registry_, std::move(writing));
  }

  // Grants a tensor to consumers: each may use it, and it waits for them for the grace period. May be called in the name
  // of its producer or of a model that holds it. The result says of each consumer whether it can use the tensor as it is, in the
  // form that it takes (and what that will cost), or not at all. Never throws for what is not there: see ShareStatus.
  ShareResult share(std::string_view name, std::string_view producer, const std::vector<std::string>& consumers) {
    return registry_->share(name, producer, consumers);
  }

  // Ends one lease of a model on a tensor: one without a Lease object first (a producer's), then the oldest.
  // False where it holds none.
  bool release(std::string_view name, std::string_view model) { return registry_->release(name, model); }
  // Ends every lease of a model, withdraws its grants and forgets that it was active. Returns how many leases ended; a
  // second call returns 0.
  std::size_t release_model(std::string_view model) { return registry_->release_model(model); }

  // A pinned tensor is never freed or evicted; one that is away already stays away until the next lease. False where there is no such tensor.
  bool pin(std::string_view name) { return registry_->set_pinned(name, true).has_value(); }
  // False where there is no such tensor or it was not pinned.
  bool unpin(std::string_view name) { return registry_->set_pinned(name, false).value_or(false); }

  // Whether optimize_memory() would free the tensor now: no pin, no lease, no fresh grant, on it or on any other name on
  // the same block, and no handle outside the manager; or it is an unused view whose source is registered.
  bool can_be_freed(std::string_view name) const { return registry_->can_be_freed(name); }
  // Frees every tensor that can be freed, as far as the mode goes (see MemoryMode; the manager's own by default). With a
  // spill target such tensors are evicted and come back with the next lease. Errors: the spill target's; nothing is lost then.
  OptimizationResult optimize_memory() { return optimize_memory(registry_->mode()); }
  OptimizationResult optimize_memory(MemoryMode mode) {
    OptimizationResult result = registry_->optimize(mode);
    if (mode != MemoryMode::speed) result.trimmed_bytes = heap_cache().trim();
    registry_->deliver();
    return result;
  }
  // Drops a name at once that nobody leases or pins, also if it has fresh grants. Handles and views keep the bytes.
  // False where there is no such tensor or it is held.
  bool forget(std::string_view name) { return registry_->forget(name); }

  bool contains(std::string_view name) const { return registry_->find(name) != nullptr; }

  // Makes a model known that has not touched a tensor yet.
  // Errors: InvalidArgument (empty name).
  void register_model(std::string_view model) {
    require_name(model, "a model");
    registry_->register_model(model);
  }
  // Families whose models share tensors of a kind, beside the default table. Errors: InvalidArgument.
  void add_sharing_pattern(const std::string& tensor_kind, const std::vector<std::string>& families) { registry_->add_pattern(tensor_kind, families); }
  // Kinds of tensor that two or more active models work on. A model is active from the first call that names it to its release_model().
  std::vector<SharingOpportunity> analyze_sharing_opportunities() const { return detail::opportunities(registry_->inventory()); }

  std::map<std::string, TensorUsage, std::less<>> tensor_memory_usage() const { return stats().tensors; }
  std::map<std::string, ModelUsage, std::less<>> model_memory_usage() const { return stats().models; }
  OptimizationRecommendations optimization_recommendations() const { return detail::recommendations(registry_->inventory(), find_duplicates()); }
  // Tensors on different bytes that hold the same, or the beginning of another along one axis: compared byte by byte, which
  // reads every candidate whose samples agree. The largest saving first.
  std::vector<MeasuredDuplicate> find_duplicates() const { return registry_->duplicates(); }
  SharingStats stats() const { return detail::statistics(registry_->inventory()); }
  // Who holds what and what it saved, as a table for people.
  std::string report() const { return cotenant::report(stats()); }
  // Memory over time; empty unless ManagerOptions::record_timeline.
  std::vector<TimelineSample> timeline() const { return registry_->timeline(); }
  // The last events, oldest first; empty unless ManagerOptions::record_events or on_event. See events_export.hpp for pictures of them.
  std::vector<Event> events() const { return registry_->events(); }
  // How many events of each kind there were since the beginning, and their bytes.
  EventCounts event_counts() const { return registry_->event_counts(); }

 private:
  friend struct detail::ManagerAccess;  // ipc/managed.hpp
  static void require_name(std::string_view name, const char* what) {
    if (name.empty()) raise<InvalidArgument>(std::string(what) + " needs a name, but an empty one was given");
  }
  template <Element T, Storage S> static bool is_typed(const detail::Entry& entry) {
    return entry.dtype == dtype_of<T> && entry.block->storage_identity() == StorageIdentity::of<S>();
  }
  template <Element T, Storage S> static const detail::TypedEntry<T, S>& typed(const detail::Entry& entry) {
    return static_cast<const detail::TypedEntry<T, S>&>(entry);
  }

  template <Element T, Storage S> bool acquire(detail::LeaseNode& node, std::string_view name, std::string_view model, const QuantizeOptions& ranges) {
    using Found = detail::Registry::Found;
    Found found = registry_->acquire(node, name, model, dtype_of<T>, StorageIdentity::of<S>());
    if (found == Found::other_type) {
      detail::Registry::FormRequest request{dtype_of<T>, StorageIdentity::of<S>(), ranges, nullptr,
          [](std::string form, detail::MadeForm made) -> std::shared_ptr<detail::Entry> {
                                              return std::make_shared<detail::TypedEntry<T,
                                                  S>>(std::move(form), SharedTensor<T, S>(std::move(made.block), made.layout), std::move(made.parameters));
                                            }};
      if constexpr (AllocatingStorage<S> && S::host_accessible && std::default_initializable<S>) request.room = &detail::form_room<S>;
      found = registry_->acquire_form(node, name, model, request);
    }
    if (found == Found::other_type) raise_other_type<T, S>(name);
    registry_->deliver();
    return found == Found::yes;
  }
  template <Element T, Storage S> Lease<T, S> get_as(std::string_view name, std::string_view model, const QuantizeOptions& ranges) {
    require_name(model, "a model");
    return Lease<T, S>([&](detail::LeaseNode& node) {
      if (!acquire<T, S>(node, name, model, ranges)) raise_not_found(name);
    });
  }

  [[noreturn]] void raise_not_found(std::string_view name) const {
    raise<NotFound>("no tensor is registered as '" + std::string(name) + "'." + registry_->suggestion(name) +
                    " Register it first, or use try_get() where it may be absent");
  }
  template <Element T, Storage S> [[noreturn]] void raise_other_type(std::string_view name) const {
    const std::shared_ptr<detail::Entry> entry = registry_->find(name);
    const std::string asked = std::string(to_string(dtype_of<T>)) + " in storage '" + std::string(S::name()) + "'";
    if (!entry) raise<TypeError>("tensor '" + std::string(name) + "' was not " + asked);  // freed since
    const std::string there(to_string(entry->dtype)), storage(entry->block->storage_name());
    raise<TypeError>("tensor '" + std::string(name) + "' was asked for as " + asked + ", but it is " + there + " " + to_string(entry->layout.shape) +
                     " in storage '" + storage + "': name that element type and storage, or convert a copy");
  }

  // Leases of writers share it: they may outlive the manager.
  std::shared_ptr<detail::Registry> registry_;
  std::optional<detail::Sweeper> sweeper_;  // ends before the registry
};

}  // namespace cotenant

#endif
