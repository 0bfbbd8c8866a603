// Lease: a model's hold on a registered tensor, ended when the object is destroyed.
#ifndef COTENANT_SHARE_LEASE_HPP
#define COTENANT_SHARE_LEASE_HPP
#include <concepts>
#include <string>

#include "cotenant/share/tenancy.hpp"

namespace cotenant {

class TensorSharingManager;

// Made by TensorSharingManager::get, try_get and create_view. Move-only; may outlive the manager.
//
// While a lease is held its tensor is not freed. `manager.release(name, model)` and `release_model(model)` end leases
// by name: the object then still gives access to the elements (its bytes stay), but counts no longer, and destroying it
// ends nothing. One object belongs to one thread at a time; different objects to any threads.
template <Element T, Storage S = Heap> class Lease {
 public:
  using element_type = T;
  using storage_type = S;

  // No lease: false in a condition.
  Lease() = default;

  // Whether there is a tensor to look at.
  explicit operator bool() const noexcept { return node_.tenancy() != nullptr; }
  // Whether it still counts: false once it was ended by name.
  bool held() const { return node_.tenancy() != nullptr && node_.tenancy()->is_linked(node_); }
  // The tensor. Errors: InvalidArgument on an empty or released lease.
  const SharedTensor<T, S>& operator*() const {
    require();
    return static_cast<const detail::TypedEntry<T, S>&>(*node_.tenancy()->entry()).tensor;
  }
  const SharedTensor<T, S>* operator->() const { return &**this; }
  // Quantised values with their scale and zero point. Errors: InvalidArgument as above; TypeError where they were registered without.
  auto quantized() const requires QuantizedElement<T> {
    require();
    return static_cast<const detail::TypedEntry<T, S>&>(*node_.tenancy()->entry()).quantized();
  }
  // Errors of both: InvalidArgument on an empty or released lease.
  const std::string& name() const {
    require();
    return node_.tenancy()->entry()->name;
  }
  const std::string& model() const {
    require();
    return node_.tenancy()->model()->name;
  }
  // One more lease of the same tensor for the same model, without looking up any name; empty where this one has ended.
  Lease again() const {
    Lease lease;
    if (node_.tenancy() != nullptr) static_cast<void>(node_.tenancy()->attach_beside(node_, lease.node_));
    return lease;
  }
  // Ends the lease now and empties the object. False where there was nothing left to end.
  bool release() noexcept { return node_.release(); }

 private:
  friend class TensorSharingManager;

  // `attach` is given the node in its final place.
  template <std::invocable<detail::LeaseNode&> Attach> explicit Lease(const Attach& attach) { attach(node_); }

  void require() const {
    if (node_.tenancy() == nullptr) raise<InvalidArgument>("this lease is empty: it was released or moved from. Call get() for a new one");
  }

  detail::LeaseNode node_;
};

// Ops take a lease wherever they take its tensor.
template <Element T, Storage S> const SharedTensor<T, S>& as_tensor(const Lease<T, S>& lease) { return *lease; }
static_assert(TensorLike<Lease<float>>);

}  // namespace cotenant

#endif
