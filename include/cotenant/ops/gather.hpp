// gather: rows of a table by index, such as embeddings by token.
#ifndef COTENANT_OPS_GATHER_HPP
#define COTENANT_OPS_GATHER_HPP
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "cotenant/ops/operand.hpp"

namespace cotenant {

// out[indices…, rest…] = convert<Out>(table[indices[…], rest…]); an index in [-rows, -1] counts from the end.
// An index outside [-rows, rows) is an InvalidArgument from a backend that runs when called, before anything is
// written; one that runs later clamps it to the nearest row, so that no byte outside the table is ever read.
template <class T, class Index, class Out> struct GatherArguments {
  Operand<const T> table;
  Operand<const Index> indices;
  Operand<Out> out;
};

namespace detail {
inline Shape gather_shape(const Shape& table, const Shape& indices) {
  if (table.empty()) raise<ShapeError>("gather needs a table of at least one dimension");
  Shape shape = indices;
  for (std::size_t axis = 1; axis < table.rank(); ++axis) shape.append(table[axis]);
  if (table[0] == 0 && element_count(indices) != 0) raise<ShapeError>(Text{"gather from a table of shape ", table, ", which has no row"});
  return shape;
}
}  // namespace detail

// Writes into out, of shape indices + table's without its first axis. Errors: ShapeError, ReadOnly, InvalidArgument.
template <Element Out, Storage S, TensorLike Table, TensorLike Indices, class Backend = common_backend<SharedTensor<Out, S>, Table, Indices>>
void gather_into(SharedTensor<Out, S> out, const Table& table, const Indices& indices) {
  using Index = element_type_of<Indices>;
  static_assert(std::same_as<Index, std::int32_t> || std::same_as<Index, std::int64_t>, "gather's indices are int32_t or int64_t");
  static_assert(ScalarElement<element_type_of<Table>> && ScalarElement<Out>, "gather converts scalar elements");
  check_not_empty("gather", out, table, indices);
  check_output_shape("gather", detail::gather_shape(as_tensor(table).shape(), as_tensor(indices).shape()), out.shape());
  prepare<Backend>(input(table), input(indices));
  backend_at<Backend>(out).gather(GatherArguments<element_type_of<Table>, Index, Out>{input(table), input(indices), output(out)});
}

// The same as a new row-major tensor.
template <class Out = void, TensorLike Table, TensorLike Indices> auto gather(const Table& table, const Indices& indices) {
  check_not_empty("gather", table, indices);
  auto out = empty_like<chosen_element<Out, element_type_of<Table>>>(table, detail::gather_shape(as_tensor(table).shape(), as_tensor(indices).shape()));
  gather_into(out, table, indices);
  return out;
}

// Refuses an index outside [-rows, rows). For backends that run when called.
template <class Index> void check_gather_index(Index index, std::size_t rows) {
  const auto count = static_cast<std::int64_t>(rows);
  if (index < -count || index >= count)
    raise<InvalidArgument>(Text{"gather was given index ", index, ", but the table has ", rows, " rows"});
}

}  // namespace cotenant

#endif
