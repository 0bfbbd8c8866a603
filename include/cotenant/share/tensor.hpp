// SharedTensor<T, Storage>: a counted handle on elements. Copying it, or making a view of it, copies no bytes.
#ifndef COTENANT_SHARE_TENSOR_HPP
#define COTENANT_SHARE_TENSOR_HPP
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/core/view.hpp"
#include "cotenant/share/block.hpp"
#include "cotenant/storage/borrowed.hpp"
#include "cotenant/storage/heap.hpp"

namespace cotenant {

// Block + layout. slice, select, transpose, … return another handle on the same block; a view keeps its bytes alive.
//
// Reading is the default: view() gives a View<const T>. Writing needs a private block: one that no manager has
// published and that lies in writable storage. mutable_view() refuses otherwise, detach() copies where needed.
// Two handles on one private block see each other's writes; synchronising threads on it is the caller's matter.
template <Element T, Storage S = Heap> class SharedTensor {
 public:
  using element_type = T;
  using storage_type = S;
  // Where results computed from this tensor are put.
  using result_storage = typename S::result;

  // No tensor: false in a condition, of rank 0 with no element.
  SharedTensor() = default;
  // For storages and backends: a block and a layout inside it. Errors: ShapeError where it reaches outside.
  SharedTensor(BlockRef block, const Layout& layout) : block_(std::move(block)) {
    if (!block_) raise<InvalidArgument>("a tensor needs a block of bytes, but an empty reference was given");
    if (block_->storage_identity() != StorageIdentity::of<S>())
      raise<TypeError>(Text{"these bytes lie in storage '", block_->storage_name(), "', not in '", S::name(), "'"});
    layout_ = check_bounds(layout, block_->bytes() / sizeof(T));
  }

  explicit operator bool() const noexcept { return static_cast<bool>(block_); }
  static constexpr DType dtype() { return dtype_of<T>; }
  const Layout& layout() const noexcept { return layout_; }
  const Shape& shape() const noexcept { return layout_.shape; }
  const Strides& strides() const noexcept { return layout_.strides; }
  std::size_t shape(std::ptrdiff_t axis) const { return layout_.shape[normalize_axis(axis, rank())]; }
  std::size_t rank() const noexcept { return layout_.shape.rank(); }
  std::size_t size() const { return block_ ? element_count(layout_.shape) : 0; }
  // size() * sizeof(T): what the elements would need on their own.
  std::size_t bytes() const { return size() * sizeof(T); }
  bool is_contiguous() const { return cotenant::is_contiguous(layout_.shape, layout_.strides); }
  const BlockRef& block() const noexcept { return block_; }
  // Handles on the same bytes, this one included.
  std::size_t use_count() const noexcept { return block_ ? block_->references() : 0; }

  // The elements, for reading; waits for the work that fills them. Valid while a handle on the block lives.
  View<const T> view() const requires(S::host_accessible) {
    if (block_) block_->wait();
    return unchecked_view();
  }
  // The elements, for writing in place. Errors: ReadOnly where others may be reading or the layout repeats elements.
  View<T> mutable_view() requires(S::host_accessible && S::writable) {
    check_writable();
    block_->wait();
    return unchecked_view();
  }
  // For backends: the address and shape without waiting, on whichever device it lies.
  View<T> unchecked_view() const { return View<T>::unchecked(block_ ? static_cast<T*>(block_->data()) : nullptr, layout_); }

  // Nobody writes to these bytes any more, as after registering them: mutable_view() refuses, and kernels may keep what
  // they make of them, such as packed weights, for the next call.
  const SharedTensor& freeze() const {
    if (block_) block_->publish();
    return *this;
  }

  // Refuses what mutable_view() refuses. Errors: ReadOnly.
  void check_writable() const {
    if (!block_) raise<ReadOnly>("an empty tensor has nothing to write to: make one with empty(), zeros() or full()");
    if (block_->published())
      raise<ReadOnly>(Text{"this tensor of shape ", shape(), " in storage '", S::name(),
                           "' is shared: others may be reading it. Make a private copy with detach() or copy_to()"});
    if (is_broadcast(layout_.shape, layout_.strides))
      raise<ReadOnly>(Text{"this view of shape ", shape(),
                           " repeats elements (stride 0), so it cannot be written. Make a private copy with contiguous() or detach()"});
  }

  // Elements [first, last) along an axis, every step-th; a negative step runs backwards.
  SharedTensor slice(std::ptrdiff_t axis, std::ptrdiff_t first, std::ptrdiff_t last, std::ptrdiff_t step = 1) const {
    return with(cotenant::slice(layout_, axis, first, last, step));
  }
  // A box: sizes[i] elements from starts[i] along every axis.
  SharedTensor slice(const Shape& starts, const Shape& sizes) const { return with(cotenant::slice(layout_, starts, sizes)); }
  // One index of an axis; the axis disappears.
  SharedTensor select(std::ptrdiff_t axis, std::ptrdiff_t index) const { return with(cotenant::select(layout_, axis, index)); }
  // Exchanges two axes (default: the last two).
  SharedTensor transpose(std::ptrdiff_t a = -2, std::ptrdiff_t b = -1) const { return with(cotenant::transpose(layout_, a, b)); }
  // Axis i of the result is axis order[i] of this tensor.
  SharedTensor permute(std::initializer_list<std::size_t> order) const { return with(cotenant::permute(layout_, {order.begin(), order.size()})); }
  SharedTensor broadcast_to(const Shape& shape) const { return with(cotenant::broadcast_to(layout_, shape)); }
  SharedTensor squeeze(std::ptrdiff_t axis) const { return with(cotenant::squeeze(layout_, axis)); }
  SharedTensor unsqueeze(std::ptrdiff_t axis) const { return with(cotenant::unsqueeze(layout_, axis)); }
  // The same elements in row-major order under another shape. Errors: ShapeError where that would need a copy.
  SharedTensor reshape(const Shape& shape) const {
    const auto layout = cotenant::reshape(layout_, shape);
    if (!layout)
      raise<ShapeError>(Text{"a tensor of shape ", layout_.shape, " with strides ", layout_.strides, " cannot become ", shape,
                             " without a copy: call contiguous() first"});
    return with(*layout);
  }
  // The handle for another layout of the same block. Errors: ShapeError where it reaches outside.
  SharedTensor with(const Layout& layout) const { return SharedTensor(block_, layout); }

  // contiguous(), detach() and copy_to<Storage>() copy elements, so they are ops: ops/copy.hpp defines them.
  auto contiguous() const;
  template <AllocatingStorage D> SharedTensor<T, D> copy_to(D destination = {}) const;
  // Makes this handle the only one on private bytes, copying them only if someone else holds them, and returns it.
  SharedTensor& detach() requires std::same_as<S, typename S::result>;

 private:
  BlockRef block_;
  Layout layout_;
};

// What an op accepts: anything with an as_tensor() (a SharedTensor, a Lease).
template <Element T, Storage S> const SharedTensor<T, S>& as_tensor(const SharedTensor<T, S>& tensor) { return tensor; }
template <class X> concept TensorLike = requires(const X& x) { as_tensor(x).unchecked_view(); };
template <TensorLike X> using tensor_type = std::remove_cvref_t<decltype(as_tensor(std::declval<const X&>()))>;
template <TensorLike X> using element_type_of = typename tensor_type<X>::element_type;
template <TensorLike X> using storage_type_of = typename tensor_type<X>::storage_type;

// A new row-major tensor; its elements are not set. Errors: OutOfMemory, ShapeError (overflow).
template <Element T, AllocatingStorage S = Heap> SharedTensor<T, S> empty(const Shape& shape, S storage = {}) {
  const std::size_t bytes = checked_multiply(element_count(shape), sizeof(T), "the number of bytes");
  return SharedTensor<T, S>(Block::allocate(std::move(storage), bytes), contiguous_layout(shape));
}

// Every element is `value`.
template <Element T> SharedTensor<T> full(const Shape& shape, T value) {
  SharedTensor<T> tensor = empty<T>(shape);
  const std::span<T> span = tensor.mutable_view().span();
  std::fill(span.begin(), span.end(), value);
  return tensor;
}
template <Element T> SharedTensor<T> zeros(const Shape& shape) { return full(shape, T{}); }

// A copy of `values` in row-major order. Errors: ShapeError where their number does not fit.
template <Element T> SharedTensor<T> from(std::span<const T> values, const Shape& shape) {
  if (element_count(shape) != values.size())
    raise<ShapeError>(Text{values.size(), " values were given for shape ", shape, ", which has ", element_count(shape), " elements"});
  SharedTensor<T> tensor = empty<T>(shape);
  std::copy(values.begin(), values.end(), tensor.mutable_view().data());
  return tensor;
}
template <Element T> SharedTensor<T> from(const std::vector<T>& values, const Shape& shape) requires(!std::same_as<T, bool>) {
  return from(std::span<const T>(values), shape);
}
template <Element T> SharedTensor<T> from(std::initializer_list<T> values, const Shape& shape) {
  return from(std::span<const T>(values.begin(), values.size()), shape);
}

// A tensor on memory that someone else owns, without a copy. `deleter` runs when the last handle is gone.
// Errors: InvalidArgument where `memory` is not aligned for T; ShapeError where the layout reaches outside.
template <Element T> SharedTensor<T, Borrowed> borrow(std::span<T> memory, const Layout& layout, std::function<void()> deleter = {}) {
  if (reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(T) != 0)
    raise<InvalidArgument>(Text{"memory to borrow for ", to_string(dtype_of<T>), " must be aligned to ", alignof(T), " bytes"});
  static_cast<void>(check_bounds(layout, memory.size()));
  return SharedTensor<T, Borrowed>(Block::adopt(Borrowed{std::move(deleter)}, {memory.data(), memory.size_bytes()}), layout);
}
template <Element T> SharedTensor<T, Borrowed> borrow(std::span<T> memory, const Shape& shape, std::function<void()> deleter = {}) {
  return borrow(memory, contiguous_layout(shape), std::move(deleter));
}

}  // namespace cotenant

#endif
