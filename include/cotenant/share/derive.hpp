// derive(): a value computed once from a tensor that nobody writes any more, and kept with its bytes for everybody.
#ifndef COTENANT_SHARE_DERIVE_HPP
#define COTENANT_SHARE_DERIVE_HPP
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include "cotenant/share/tensor.hpp"

namespace cotenant {

// The bytes that a kept tensor takes: its block, and what was derived from that in turn. Values of other types that are
// to be kept have a kept_bytes() of their own beside them.
template <Element T, Storage S> std::size_t kept_bytes(const SharedTensor<T, S>& tensor) {
  if (!tensor) return 0;
  const DerivedSet* derived = tensor.block()->derived_if_any();
  return tensor.block()->bytes() + (derived == nullptr ? 0 : derived->bytes());
}
// Whether handles on a kept tensor's bytes exist beside the kept one. Other types may have a kept_in_use() of their own.
template <Element T, Storage S> bool kept_in_use(const SharedTensor<T, S>& tensor) { return tensor.use_count() > 1; }

namespace detail {
template <class Value> class KeptValue final : public Derived {
 public:
  explicit KeptValue(Value value) : value_(std::move(value)) {}
  std::size_t bytes() const noexcept override { return kept_bytes(value_); }
  bool in_use() const noexcept override {
    if constexpr (requires { kept_in_use(value_); }) return kept_in_use(value_);
    else return false;
  }
  const Value& value() const { return value_; }

 private:
  Value value_;
};
// An address of its own for each kind.
template <class Kind, class Value> inline constexpr char derivation = 0;
}  // namespace detail

// make(), or what it returned before for the same elements under the same Kind (a type that names the computation, and is
// all that the value depends on besides the elements). Kept with the block of `source` and freed with it; every model that holds
// these bytes gets the same value. Nothing is kept for a tensor that may still be written or has more than two dimensions,
// and where the budget of the manager that has it has no room. `replaces` where the value is read instead of the elements from then on:
// where their storage can fetch them anew, their pages go.
template <class Kind, TensorLike X, class Make> auto derive(const X& source, const Make& make, bool replaces = false) {
  using Value = std::remove_cvref_t<decltype(make())>;
  const auto& tensor = as_tensor(source);
  const Layout& layout = tensor.layout();
  const std::size_t rank = layout.shape.rank();
  if (!tensor.block() || !tensor.block()->published() || rank > 2) return make();
  DerivedKey key{&detail::derivation<Kind, Value>, tensor.unchecked_view().data()};
  // Rows are counted from 1, so that a vector and a matrix of one row have different keys.
  if (rank == 0) key.columns = 1;
  else key.columns = layout.shape[rank - 1], key.column_stride = layout.strides[rank - 1];
  if (rank == 2) key.rows = layout.shape[0] + 1, key.row_stride = layout.strides[0];
  std::optional<Value> unkept;
  const auto kept = tensor.block()->derived().find_or_make(key, [&](DerivedRoom& room) -> Ref<const Derived> {
    Value value = make();
    if (!room.take(kept_bytes(value))) {
      unkept.emplace(std::move(value));
      return nullptr;
    }
    const auto keeper = make_ref<detail::KeptValue<Value>>(std::move(value));
    if (replaces && is_contiguous(layout.shape, layout.strides)) keeper->replaces(tensor.block()->drop_pages(key.data, tensor.bytes()));
    return keeper;
  });
  return kept ? static_cast<const detail::KeptValue<Value>&>(*kept).value() : *std::move(unkept);
}

}  // namespace cotenant

#endif
