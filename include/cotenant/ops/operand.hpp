// Operand: what a backend is given for one tensor, and how a front door finds the backend of its operands.
#ifndef COTENANT_OPS_OPERAND_HPP
#define COTENANT_OPS_OPERAND_HPP
#include <concepts>
#include <cstddef>
#include <type_traits>

#include "cotenant/core/convert.hpp"
#include "cotenant/core/view.hpp"
#include "cotenant/share/tensor.hpp"

namespace cotenant {

// The elements of one operand. A backend that runs later than it is called keeps `BlockRef(block)` until it is done.
template <class T> struct Operand {
  View<T> view;
  Block* block = nullptr;

  const Shape& shape() const { return view.shape(); }
  // The same bytes under another layout (relative to view.data()).
  Operand with(const Layout& layout) const { return {view.with(layout), block}; }
};

template <TensorLike X> Operand<const element_type_of<X>> input(const X& tensor) {
  const auto& t = as_tensor(tensor);
  // Not by way of unchecked_view(): a view of 150 bytes would be written and read again, 20 ns of a small op.
  using Element = element_type_of<X>;
  return {View<const Element>::unchecked(t.block() ? static_cast<const Element*>(t.block()->data()) : nullptr, t.layout()), t.block().get()};
}
// Errors: ReadOnly where others may be reading, or the layout repeats elements.
template <Element T, Storage S> Operand<T> output(const SharedTensor<T, S>& tensor) {
  static_assert(S::writable, "the result of an op cannot be written into read-only storage");
  tensor.check_writable();
  // A copy from a device that is still coming in would overwrite the result.
  if constexpr (S::host_accessible) tensor.block()->wait();
  return {tensor.unchecked_view(), tensor.block().get()};
}
// An input repeated to `shape` without a copy. `what` begins the error's text.
template <class T> Operand<T> broadcast_to(const Operand<T>& operand, const Shape& shape, const char* what = "shape") {
  if (operand.shape() == shape) return operand;
  return operand.with(broadcast_to(operand.view.layout(), shape, what));
}

// The one backend of all operands; a compile-time error where there are two.
template <TensorLike First, TensorLike... Rest> struct CommonBackend {
  using type = backend_of<storage_type_of<First>>;
  static_assert((std::same_as<type, backend_of<storage_type_of<Rest>>> && ...),
                "the operands of one op live on two different backends: bring them together first, e.g. x.copy_to<Heap>() or x.copy_to(gpu_storage)");
  static_assert(!std::same_as<type, HostBackend>, "no CPU backend is included: include <cotenant/cotenant.hpp>, or cotenant/cpu/cpu.hpp");
};
template <TensorLike... X> using common_backend = typename CommonBackend<X...>::type;

// The backend instance that serves a storage instance: its own, or a new one where the backend has no state.
template <class B, Storage S> decltype(auto) backend_at(const S& storage) {
  if constexpr (requires { { storage.backend_instance() } -> std::convertible_to<B&>; }) return static_cast<B&>(storage.backend_instance());
  else return B{};
}
template <class B, TensorLike X> decltype(auto) backend_at(const X& tensor) {
  return backend_at<B>(as_tensor(tensor).block()->template storage<storage_type_of<X>>());
}

// A new tensor for a result, where the results of `like` belong.
template <Element T, TensorLike X> auto empty_like(const X& like, const Shape& shape) {
  return empty<T>(shape, as_tensor(like).block()->template storage<storage_type_of<X>>().result_storage());
}

// A backend that runs when it is called needs its inputs finished; one that queues orders them itself.
template <class B, class... T> void prepare(const Operand<T>&... operands) {
  if constexpr (B::runs_when_called) ((operands.block ? operands.block->wait() : void()), ...);
}

// Errors: InvalidArgument for an empty handle, which has no bytes to compute on.
template <TensorLike... X> void check_not_empty(const char* op, const X&... tensors) {
  if (!(static_cast<bool>(as_tensor(tensors)) && ...))
    raise<InvalidArgument>(Text{op, " was given an empty tensor handle: make one with from(), zeros() or get()"});
}
inline void check_output_shape(const char* op, const Shape& expected, const Shape& given) {
  if (!(expected == given)) raise<ShapeError>(Text{op, " gives shape ", expected, ", but the output has shape ", given});
}

// The element type of a result nobody named: the operands' own where they agree; float where one is a float type.
// (Classes, because an alias template cannot take a pack where it names its first element.)
template <class First, class... Rest> struct CommonElement {
  using type = std::conditional_t<(std::same_as<First, Rest> && ...), First, compute_type<First, Rest...>>;
};
template <class... T> using common_element = typename CommonElement<T...>::type;
template <class Chosen, class Default> using chosen_element = std::conditional_t<std::is_void_v<Chosen>, Default, Chosen>;

}  // namespace cotenant

#endif
