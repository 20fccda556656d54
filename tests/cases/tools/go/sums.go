// Package sums adds.
package sums

// Add adds two numbers.
func Add(left, right int) int { return left + right }
