// Copying elements: copy_into, and the members of SharedTensor that copy (contiguous, detach, copy_to).
#ifndef COTENANT_OPS_COPY_HPP
#define COTENANT_OPS_COPY_HPP
#include <concepts>
#include <utility>

#include "cotenant/ops/operand.hpp"

namespace cotenant {

// out[i] = in[i], any strides. One side may be host memory that the backend does not own: see Block::host_accessible.
template <class T> struct CopyArguments {
  Operand<const T> in;
  Operand<T> out;
};

// Copies elements between tensors of one shape, across storages and backends. What comes from a device is there when `out` is read; in
// borrowed memory, which its owner reads by an address of his own, when this returns. The two must not overlap. Errors: ShapeError, ReadOnly.
template <TensorLike X, Storage D> void copy_into(SharedTensor<element_type_of<X>, D> out, const X& in) {
  using S = storage_type_of<X>;
  check_not_empty("copy", in, out);
  check_output_shape("copy", as_tensor(in).shape(), out.shape());
  const CopyArguments<element_type_of<X>> arguments{input(in), output(out)};
  if constexpr (S::host_accessible && !D::host_accessible) {
    as_tensor(in).block()->wait();
    backend_at<backend_of<D>>(out).copy(arguments);
  } else {
    using B = backend_of<S>;
    static_assert(D::host_accessible || std::same_as<B, backend_of<D>>,
                  "a copy from one device to another goes through the host: x.copy_to<Heap>().copy_to(other_storage)");
    prepare<B>(arguments.in);
    backend_at<B>(in).copy(arguments);
    if constexpr (D::host_accessible && !AllocatingStorage<D>) out.block()->wait();
  }
}

// A row-major tensor of the same elements: this handle where it is one already, else a copy.
template <Element T, Storage S> auto SharedTensor<T, S>::contiguous() const {
  using Result = SharedTensor<T, result_storage>;
  if constexpr (std::same_as<S, result_storage>) {
    if (!*this || is_contiguous()) return *this;
  } else if (!*this) {
    return Result{};
  }
  Result copy = empty_like<T>(*this, shape());
  copy_into(copy, *this);
  return copy;
}

// The same elements, row-major, in new bytes of another (or the same) storage.
template <Element T, Storage S> template <AllocatingStorage D> SharedTensor<T, D> SharedTensor<T, S>::copy_to(D destination) const {
  if (!*this) return {};
  SharedTensor<T, D> copy = empty<T>(shape(), std::move(destination));
  copy_into(copy, *this);
  return copy;
}

template <Element T, Storage S> SharedTensor<T, S>& SharedTensor<T, S>::detach() requires std::same_as<S, typename S::result> {
  if (!*this) return *this;
  if (!block_->published() && block_->references() == 1 && !is_broadcast(layout_.shape, layout_.strides)) return *this;
  SharedTensor copy = empty_like<T>(*this, shape());
  copy_into(copy, *this);
  return *this = std::move(copy);
}

}  // namespace cotenant

#endif
