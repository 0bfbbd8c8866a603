// Eigen on the same bytes: a matrix view of a tensor, and a tensor on an Eigen matrix. Nothing is copied.
#ifndef COTENANT_INTEROP_EIGEN_HPP
#define COTENANT_INTEROP_EIGEN_HPP
#include <Eigen/Core>
#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <type_traits>
#include <utility>

#include "cotenant/core/view.hpp"
#include "cotenant/share/tensor.hpp"

namespace cotenant {

// Elements that Eigen computes with as they are.
template <class T>
concept EigenElement =
    std::same_as<T, float> || std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t> || std::same_as<T, std::int32_t> || std::same_as<T, std::int64_t>;

namespace detail {
template <class T> using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using EigenStrides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
}  // namespace detail

// A rank-2 view [rows, columns] of any strides as an Eigen expression; of a View<const T> for reading only. Valid as long
// as the view. A vector is given as view.with(unsqueeze(view.layout(), …)). Errors: ShapeError for another rank.
template <class T> requires EigenElement<std::remove_const_t<T>> auto as_eigen(const View<T>& view) {
  using Matrix = detail::EigenMatrix<std::remove_const_t<T>>;
  using Map = Eigen::Map<std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>, Eigen::Unaligned, detail::EigenStrides>;
  if (view.rank() != 2)
    raise<ShapeError>("an Eigen matrix has two dimensions, but the view has shape " + to_string(view.shape()) + ": reshape, select or unsqueeze it first");
  return Map(view.data(), static_cast<Eigen::Index>(view.shape(0)), static_cast<Eigen::Index>(view.shape(1)),
      detail::EigenStrides(view.stride(0), view.stride(1)));
}

// A tensor [rows, columns] on the elements of an Eigen matrix or array, row-major or column-major. The matrix must stay
// as it is until the last handle is gone, when `deleter` runs.
template <class Derived> requires EigenElement<typename Derived::Scalar> auto borrow_eigen(Eigen::PlainObjectBase<Derived>& matrix,
    std::function<void()> deleter = {}) {
  using T = typename Derived::Scalar;
  const Layout layout{{static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols())}, {matrix.rowStride(), matrix.colStride()}, 0};
  return borrow(std::span<T>(matrix.data(), static_cast<std::size_t>(matrix.size())), layout, std::move(deleter));
}

}  // namespace cotenant

#endif
